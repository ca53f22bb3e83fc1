// What the labs share: elements, controls, axes, and the tie to the kernel's model.
// Python puts present.js, this file and one lab's own file together into one module (see browser.py), after
// the colours WITH_WARMUP (or the first of two) and WITHOUT_WARMUP (or what it is compared with).

const EM = 14; // px of the font for which all measures are given; with a larger one everything grows
const NARROW = 560; // px; below it two panels stand one under the other

// ---- Numbers ----

/** Up to three significant digits (or more): 0.001, but 1e-5. */
export function short(number, digits = 3) {
  const rounded = Number(number.toPrecision(digits));
  return rounded !== 0 && Math.abs(rounded) < 1e-4 ? rounded.toExponential() : String(rounded);
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

const clamp = (number, low, high) => Math.min(Math.max(number, low), high);

/** The smallest of 1, 2, 5, 10, ... (times a power of ten) that is at least the number. */
function roundUp(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10, 20].map((digit) => Number((digit * power).toPrecision(1))).find((top) => top >= number);
}

/** Round numbers from low to high, about as many as asked for, no nearer to each other than `nearest`. */
export function ticks(low, high, about, nearest = 0) {
  const step = Math.max(roundUp((high - low) / about), nearest);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten from low to high, at most as many as asked for. */
function powers(low, high, most) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const stride = Math.ceil((last - first + 1) / most);
  const exponents = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return exponents.filter((exponent) => exponent % stride === 0).map((exponent) => Number(`1e${exponent}`));
}

/** 1000 and 0.01, but 10⁻⁶. */
function powerText(number) {
  const exponent = Math.round(Math.log10(number));
  if (Math.abs(exponent) <= 3) return short(number);
  return "10" + [...String(exponent)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
}

// ---- Elements ----

// Each lab on a page loads this module anew, so counting would give the same id twice.
const newId = () => `wc-${Math.random().toString(36).slice(2)}`;

const OWN_KEYS = { [SUPPRESS]: "true" };

/** For JupyterLab, all the same: Shift+Enter runs the cell, Ctrl+S saves. Called before JupyterLab looks. */
function letPass({ key, shiftKey, ctrlKey, metaKey, target }) {
  if (!(ctrlKey || metaKey || (shiftKey && key === "Enter")) || !target.hasAttribute(SUPPRESS)) return;
  target.removeAttribute(SUPPRESS);
  setTimeout(() => target.setAttribute(SUPPRESS, "true"));
}

/** Set what differs: an attribute that is written again costs a repaint. */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function show(element, visible) {
  element.style.display = visible ? "" : "none";
}

function html(tag, attributes = {}, ...children) {
  const element = set(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

function svg(tag, attributes = {}, ...children) {
  const element = set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
  element.append(...children);
  return element;
}

/** A measure in CSS, which grows with the font. */
const em = (pixels) => `${pixels / EM}em`;

/** Give a picture its size. */
function resize(picture, width, height) {
  set(picture, { viewBox: `0 0 ${width} ${height}` });
  Object.assign(picture.style, { width: em(width), height: em(height) });
}

/** A function that gives n elements of one kind: made once, hidden while not needed. */
function pool(parent, make) {
  const elements = [];
  return (n) => {
    while (elements.length < n) parent.append(elements[elements.push(make()) - 1]);
    elements.forEach((element, i) => show(element, i < n));
    return elements.slice(0, n);
  };
}

const pixel = (number) => Math.round(number * 10) / 10;

/** The path of a line through points [x, y] in pixels. */
function line(points) {
  let d = "";
  for (const [x, y] of points) d += `${d ? "L" : "M"}${pixel(x)} ${pixel(y)}`;
  return d;
}

/** The path of one dot a point: strokes without length, made round by stroke-linecap. */
const dots = (points) => points.map(([x, y]) => `M${pixel(x)} ${pixel(y)}h0`).join("");

/** The path of one cross a point. */
const crosses = (points) => points.map(([x, y]) => `M${pixel(x - 5)} ${pixel(y - 5)}l10 10m0 -10l-10 10`).join("");

// ---- Controls ----

/** A slider's scale over numbers where a step multiplies. */
const logScale = (low, high, perDecade, digits) => ({
  min: Math.round(Math.log10(low) * perDecade),
  max: Math.round(Math.log10(high) * perDecade),
  value: (position) => Number((10 ** (position / perDecade)).toPrecision(digits)),
  position: (value) => Math.round(Math.log10(value) * perDecade),
  text: short,
});

/** A slider's scale over a list of numbers in rising order. A number between two of them stands at the nearer one. */
const listScale = (values, text = short) => ({
  min: 0,
  max: values.length - 1,
  value: (position) => values[position],
  position: (value) =>
    values.reduce((best, other, i) => (Math.abs(other - value) < Math.abs(values[best] - value) ? i : best), 0),
  text,
});

/** A slider's scale over whole numbers. */
const wholeScale = (min, max, text) => ({ min, max, value: Number, position: Number, text });

/**
 * A label, the current value and a slider, which calls moved(value). show(value) moves it; one that is idle, because
 * it would change nothing, is switched off.
 */
function slider(name, scale, moved) {
  const input = html("input", { type: "range", id: newId(), step: 1, ...OWN_KEYS });
  const value = html("span", { class: "wc-value", "aria-hidden": "true" });
  input.addEventListener("input", () => moved(scale.value(Number(input.value))));
  return {
    root: html("div", { class: "wc-control" }, html("label", { for: input.id }, name), value, input),
    show(now, max = scale.max, idle = false) {
      input.disabled = idle;
      const position = scale.position(now);
      const text = scale.text(now);
      set(input, { min: Math.min(scale.min, position), max: Math.max(max, position), "aria-valuetext": text });
      if (Number(input.value) !== position) input.value = position;
      say(value, text);
    },
  };
}

/** A label and a select of [value, text] pairs, which calls moved(value). */
function choice(name, options, moved) {
  const select = html("select", { id: newId(), ...OWN_KEYS });
  select.append(...options.map(([value, text]) => html("option", { value }, text)));
  select.addEventListener("input", () => moved(select.value));
  return {
    root: html("div", { class: "wc-control" }, html("label", { for: select.id }, name), select),
    show(now) {
      if (select.value !== String(now)) select.value = now;
    },
  };
}

/** A button. One that is switched off keeps the focus, so that a keyboard does not lose its place. */
function button(name, pressed) {
  const root = html("button", { type: "button", ...OWN_KEYS }, name);
  const off = () => root.getAttribute("aria-disabled") === "true";
  root.addEventListener("click", () => off() || pressed());
  return { root, enable: (enabled) => set(root, { "aria-disabled": !enabled }) };
}

/**
 * The controls that a lesson needs, and behind "more" all others; without names, all controls are shown.
 * controls are {name: control or list of controls}, others are more elements for which a lesson has no need.
 */
function controlPanel(names, controls, others) {
  const roots = (wanted) =>
    Object.entries(controls)
      .filter(([name]) => wanted(name))
      .flatMap(([, control]) => control)
      .map(({ root }) => root);
  const grid = (elements) => html("div", { class: "wc-controls" }, ...elements);
  if (!names.length) return [grid(roots(() => true)), ...others];
  const rest = grid(roots((name) => !names.includes(name)));
  const more = html("details", { class: "wc-more" }, html("summary", OWN_KEYS, "more controls"), rest, ...others);
  return [grid(roots((name) => names.includes(name))), more];
}

/** One entry of a legend: a sample of the line, and its text. */
function legendEntry() {
  const sample = svg("path", { d: "M1 7H33", "stroke-width": 3, fill: "none" });
  const text = html("span");
  const picture = svg("svg", { width: 34, height: 14, "aria-hidden": "true" }, sample);
  const root = html("span", { class: "wc-entry" }, picture, text);
  return (visible, name, colour, dashes) => {
    show(root, visible);
    if (visible) {
      set(sample, { stroke: colour, "stroke-dasharray": dashes });
      say(text, name);
    }
    return root;
  };
}

// ---- Axes ----

/** A frame with ticks inside an svg. Marks go into `inner`, in pixels from its upper left corner. */
class Axes {
  constructor(parent, { clip = false } = {}) {
    this.grid = svg("path", { class: "wc-grid" });
    this.edge = svg("path", { class: "wc-edge" });
    this.xName = svg("text", { "text-anchor": "middle" });
    this.yName = svg("text", { "text-anchor": "middle" });
    this.inner = svg("svg", { overflow: clip ? "hidden" : "visible" });
    this.root = svg("g", {}, this.grid, this.edge, this.xName, this.yName, this.inner);
    this.xTexts = pool(this.root, () => svg("text", { class: "wc-tick", "text-anchor": "middle" }));
    this.yTexts = pool(this.root, () => svg("text", { class: "wc-tick", "text-anchor": "end" }));
    parent.append(this.root);
  }

  /** Where the plotting area is, and what it shows: x and y are {from, to, name, log, ticks, nearest}. */
  place(box, x, y) {
    const scale = ({ from, to, log }, length, flip) => {
      const of = log ? Math.log10 : Number;
      const [start, span] = [of(from), of(to) - of(from)];
      return (value) => (flip ? 1 - (of(value) - start) / span : (of(value) - start) / span) * length;
    };
    Object.assign(this, box, { x: scale(x, box.width, false), y: scale(y, box.height, true) });
    set(this.inner, { x: box.left, y: box.top, width: box.width, height: box.height });
    const right = box.left + box.width;
    const bottom = box.top + box.height;
    const marks = ({ from, to, log, ticks: given, nearest }, about) =>
      given ?? (log ? powers(from, to, about) : ticks(from, to, about, nearest));
    const xs = marks(x, box.width / 60);
    const ys = marks(y, box.height / 45);
    this.xTexts(xs.length).forEach((text, i) => {
      set(text, { x: pixel(box.left + this.x(xs[i])), y: bottom + 17 });
      say(text, x.log ? powerText(xs[i]) : short(xs[i]));
    });
    this.yTexts(ys.length).forEach((text, i) => {
      set(text, { x: box.left - 7, y: pixel(box.top + this.y(ys[i]) + 5) });
      say(text, y.log ? powerText(ys[i]) : short(ys[i]));
    });
    set(this.grid, { d: ys.map((value) => `M${box.left} ${pixel(box.top + this.y(value))}H${right}`).join("") });
    set(this.edge, { d: `M${box.left} ${box.top}V${bottom}H${right}` });
    set(this.xName, { x: box.left + box.width / 2, y: bottom + 37 });
    set(this.yName, { transform: `translate(${box.left - 49} ${box.top + box.height / 2}) rotate(-90)` });
    say(this.xName, x.name);
    say(this.yName, y.name);
  }
}

// ---- The lab around it all ----

/**
 * Put a lab into the page.
 *
 * build(change) makes the lab's parts once and gives {parts, draw}; the row of buttons gets one more. draw(settings,
 * width, extra) brings them up to date, with a picture that is higher by `extra` than usual (or lower), and returns the
 * sentence that sums the picture up. change(settings, note) is called when the user moves something;
 * settings are never altered, only replaced. Returns what takes the lab down again.
 */
function openLab({ model, el }, name, build) {
  let settings = model.get("settings");
  let width = 0;
  let extra = 0; // height that the picture has to spare, while the lab fills the screen
  let frame = 0;
  let timer = 0;

  const goal = html("p", { class: "wc-goal", role: "status" });
  const summary = html("p", { class: "wc-summary", "aria-hidden": "true" });
  const spoken = html("p", { class: "wc-spoken", role: "status", "aria-live": "polite" });
  const { parts, draw } = build(change);
  const attributes = { class: "wc-lab", role: "group", "aria-label": name };
  const root = html("div", attributes, goal, ...parts, summary, spoken);
  const presented = presenter(model, () => root, change, fit);
  parts.find((part) => part.matches(".wc-buttons")).append(presented.button);

  function redraw(note = "") {
    const sentence = draw(settings, width, extra);
    const text = note ? `${note} ${sentence}` : sentence;
    say(summary, text);
    // A screen reader hears where a move ends, not each step of it.
    clearTimeout(timer);
    timer = setTimeout(() => say(spoken, `${root.querySelector("h4").textContent}. ${text}`), 300);
  }

  function change(next, note) {
    const before = settings;
    settings = next;
    try {
      redraw(note);
    } catch (error) {
      settings = before; // what was pasted cannot be drawn
      redraw();
      throw error;
    }
    frame ||= requestAnimationFrame(push);
  }

  function push() {
    frame = 0;
    model.set("settings", settings);
    model.save_changes();
  }

  function follow() {
    if (model.get("settings") === settings) return;
    settings = model.get("settings");
    redraw();
  }

  function tellGoal() {
    show(goal, model.get("goal"));
    say(goal, `Goal: ${model.get("goal")}${model.get("goal_reached") ? " ✔ reached" : ""}`);
  }

  function fit() {
    const style = getComputedStyle(root);
    const unit = (parseFloat(style.fontSize) || EM) / EM; // px
    const [left, right, bottom] = ["Left", "Right", "Bottom"].map((side) => parseFloat(style[`padding${side}`]));
    const room = Math.floor((root.clientWidth - left - right) / unit);
    const filling = root.matches(".wc-presented");
    if (room <= 0 || (room === width && !filling && !extra)) return;
    width = room;
    extra = 0;
    redraw();
    if (!filling) return;
    const end = summary.getBoundingClientRect().bottom + root.scrollTop + bottom;
    extra = Math.floor((root.clientHeight - end) / unit);
    redraw();
  }

  // Not while the lab fills the screen: a cell that runs again takes its lab away.
  const passOn = (event) => root.matches(":not(.wc-presented)") && root.contains(event.target) && letPass(event);
  window.addEventListener("keydown", passOn, true);
  const observer = new ResizeObserver(fit);
  observer.observe(root);
  root.addEventListener("toggle", fit, true);
  model.on("change:settings", follow);
  model.on("change:goal_reached", tellGoal);
  tellGoal();
  width = 760; // until the page has found room for it
  redraw();
  el.append(root);

  return () => {
    if (frame) {
      cancelAnimationFrame(frame);
      push();
    }
    clearTimeout(timer);
    observer.disconnect();
    presented.close();
    window.removeEventListener("keydown", passOn, true);
    model.off("change:settings", follow);
    model.off("change:goal_reached", tellGoal);
    root.remove();
  };
}
