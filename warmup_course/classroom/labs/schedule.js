// The LR of a schedule, step by step. The arithmetic is that of warmup_course.Schedule: before this file, Python puts
// WARMUPS and DECAYS, made from its own table of shapes (warmup_course/shapes.py).

// Where the two factors may stand on their sliders.
const FACTORS = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05];
for (let percent = 10; percent <= 100; percent += 5) FACTORS.push(percent / 100);
const ABOVE_ZERO = 0.001;
const FEW_STEPS = 40; // up to here a dot for each

// ---- Arithmetic ----

/** The factor of the peak LR at a step, counted from 0. */
export function factor(schedule, step) {
  const { total_steps: T, warmup_steps: W, stable_steps: S, start_factor: s, end_factor: e } = schedule;
  if (step < W) return WARMUPS[schedule.warmup].factor(s, (step + schedule.count_from) / W);
  if (step < W + S || W + S === T) return 1;
  return DECAYS[schedule.decay].factor(e, Math.min((step - W - S) / (T - W - S), 1));
}

const decays = ({ total_steps, warmup_steps, stable_steps, decay, end_factor }) =>
  decay !== "constant" && end_factor < 1 && warmup_steps + stable_steps < total_steps;

/** The steps to look at (seam: null without a decay), and the sum of the factor over all steps. */
export function numbers(schedule) {
  if (schedule.total_steps > MOST_STEPS) throw new Error(`total_steps must be at most ${MOST_STEPS}`);
  let [highest, peak, budget] = [-1, 0, 0];
  for (let step = 0; step < schedule.total_steps; step++) {
    const now = factor(schedule, step);
    budget += now;
    // Rounding makes a level stretch uneven in its last digit: that is no new peak.
    if (now > highest * (1 + 1e-12)) [highest, peak] = [now, step];
  }
  const seam = decays(schedule) ? schedule.warmup_steps + schedule.stable_steps : null;
  return { first: 0, peak, seam, last: schedule.total_steps - 1, budget };
}

/**
 * Settings that Schedule accepts after one control was moved. What was moved keeps its value, the others give way.
 * Returns [settings, note]; the note tells of a change that a user might not expect.
 */
export function legalise(settings, moved) {
  const next = { ...settings };
  if (moved === "stable_steps") {
    next.warmup_steps = Math.min(next.warmup_steps, next.total_steps - next.stable_steps);
  } else {
    next.warmup_steps = Math.min(next.warmup_steps, next.total_steps);
    next.stable_steps = Math.min(next.stable_steps, next.total_steps - next.warmup_steps);
  }
  if (next.start_factor === 0 && !WARMUPS[next.warmup].fromZero) {
    next.start_factor = ABOVE_ZERO;
    return [next, `With ${next.warmup} warmup the start factor must be above 0, so it is ${ABOVE_ZERO} now.`];
  }
  return [next, ""];
}

/** The schedule in words. */
export function scheduleMessage(schedule) {
  const { total_steps: T, warmup_steps: W, stable_steps: S } = schedule;
  const climb = schedule.start_factor < 1 ? W : 0;
  const level = W + S - climb;
  const parts = [climb ? `${WARMUPS[schedule.warmup].words} ${count(climb, "step")}` : "No warmup"];
  if (decays(schedule)) {
    if (level) parts.push(`level for ${level}`);
    parts.push(`then ${DECAYS[schedule.decay].words} over ${count(T - W - S, "step")}`);
  } else if (climb < T) {
    parts.push(`then level for ${count(T - climb, "step")}`);
  }
  return parts.join(", ");
}

// ---- Picture ----

const CURSORS = [
  ["first", "first step", "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z"],
  ["peak", "peak", "M0 -8l8 13h-16z"],
  ["seam", "decay begins", "M0 -8l8 8l-8 8l-8 -8z"],
  ["last", "last step", "M-6 -6h12v12h-12z"],
];

/** One schedule in the picture: its line, its dots and its four marks. */
function curve(inner) {
  const path = svg("path", { fill: "none", "stroke-width": 3, "stroke-linejoin": "round" });
  const steps = svg("path", { fill: "none", "stroke-width": 7, "stroke-linecap": "round" });
  const marks = CURSORS.map(([, , d]) => svg("path", { d, class: "wc-mark" }));
  inner.append(path, steps, ...marks);
  return (settings, found, axes, colour, dashes) => {
    for (const element of [path, steps, ...marks]) show(element, settings);
    if (!settings) return;
    const at = (step) => [axes.x(step), axes.y(settings.peak_lr * factor(settings, step))];
    const { total_steps: T, warmup_steps: W, stable_steps: S } = settings;
    // No more points than pixels, and always those where the curve turns.
    const stride = Math.max(1, Math.floor(T / axes.width));
    const drawn = new Set([W - 1, W, W + S - 1, W + S, T - 1].filter((step) => step >= 0 && step < T));
    for (let step = 0; step < T; step += stride) drawn.add(step);
    const points = [...drawn].sort((a, b) => a - b).map(at);
    set(path, { d: line(points), stroke: colour, "stroke-dasharray": dashes });
    set(steps, { d: T <= FEW_STEPS ? dots(points) : "", stroke: colour });
    marks.forEach((mark, i) => {
      const step = found[CURSORS[i][0]];
      show(mark, step !== null);
      if (step !== null) set(mark, { transform: `translate(${at(step).map(pixel)})`, fill: colour });
    });
  };
}

/** The table of numbers: a row for each mark, three columns for each schedule. */
function numberTable() {
  const names = ["step", "factor", "LR"];
  const head = (text, span = 1) => html("th", { scope: "col", colspan: span }, text);
  const rowName = (...parts) => html("th", { scope: "row" }, ...parts);

  /** The cells of one schedule, by row; the last row is the budget. */
  function column(name) {
    const body = CURSORS.map(() => names.map(() => html("td")));
    const budget = html("td", { colspan: 3 });
    const rows = [[head(name, 3)], names.map((text) => head(text)), ...body, [budget]];
    function fill(settings, found) {
      rows.flat().forEach((cell) => show(cell, settings));
      if (!settings) return;
      CURSORS.forEach(([cursor], i) => {
        const step = found[cursor];
        const share = step === null ? null : factor(settings, step);
        const texts = step === null ? ["none", "", ""] : [String(step), short(share), short(share * settings.peak_lr)];
        texts.forEach((text, j) => say(body[i][j], text));
      });
      say(budget, short(found.budget * settings.peak_lr));
    }
    return { rows, fill };
  }

  const [now, other] = [column("now"), column("compared")];
  const sign = (d) => svg("path", { d, transform: "translate(9 10)", fill: "currentColor" });
  const picture = (d) => svg("svg", { width: 18, height: 18, "aria-hidden": "true" }, sign(d));
  const rowNames = [
    ...[html("td", { class: "wc-first" }), html("td")],
    ...CURSORS.map(([, name, d]) => rowName(picture(d), name)),
    rowName("LR budget (sum)"),
  ];
  const rows = rowNames.map((name, i) => html("tr", {}, name, ...now.rows[i], ...other.rows[i]));
  const table = html("table", {}, html("thead", {}, ...rows.slice(0, 2)), html("tbody", {}, ...rows.slice(2)));
  return { root: html("div", { class: "wc-numbers" }, table), fillNow: now.fill, fillOther: other.fill };
}

// ---- Code ----

const LIBRARIES = [
  ["torch", "torch"],
  ["transformers", "transformers"],
  ["python", "plain Python"],
];
const PATIENCE = 2000; // ms until a kernel that gives no code is taken to be absent

/** Copy an element's text; false: that is not allowed here, and the text is selected instead. */
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // There is no clipboard on a page that came over plain http, and not in every frame.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

/**
 * A panel that shows the schedule as code, which the kernel writes while the panel is open.
 * update(settings) tells it what the lab shows now.
 */
function codePanel(model) {
  let library = LIBRARIES[0][0];
  let settings = null;
  let timer = 0;

  const choices = LIBRARIES.map(([name, text]) => [name, button(text, () => choose(name)).root]);
  const copied = html("span", { role: "status" });
  const copy = button("Copy", async () => {
    say(copied, (await copyText(code)) ? "Copied." : "Selected: now press Ctrl+C or ⌘C.");
  });
  const code = html("code");
  const box = html("pre", { tabindex: 0, "aria-label": "The schedule as code", ...OWN_KEYS }, code);
  const missing = html("p", { role: "status" });
  const buttons = html("div", { class: "wc-buttons" }, ...choices.map(([, root]) => root), copy.root, copied);
  const root = html("details", { class: "wc-code" }, html("summary", OWN_KEYS, "As code"), buttons, box, missing);

  function choose(name) {
    library = name;
    tell();
  }

  /** Show the code if it is that of the settings shown; else wait a little, then say what is missing. */
  function tell() {
    clearTimeout(timer);
    if (!root.open) return;
    const written = model.get("code");
    const ready = JSON.stringify(written.settings) === JSON.stringify(settings);
    for (const [name, element] of choices) set(element, { "aria-pressed": name === library });
    copy.enable(ready);
    set(box, { "aria-busy": !ready });
    say(copied, "");
    if (ready) {
      say(code, written[library]);
      say(missing, "");
      show(box, true);
    } else {
      timer = setTimeout(() => {
        show(box, false);
        say(missing, "Python writes the code and has not answered yet. It needs a running kernel in which this cell was run.");
      }, PATIENCE);
    }
  }

  function opened() {
    if (model.get("code_open") !== root.open) {
      model.set("code_open", root.open);
      model.save_changes();
    }
    tell();
  }

  function follow() {
    root.open = model.get("code_open");
  }

  root.addEventListener("toggle", opened);
  model.on("change:code", tell);
  model.on("change:code_open", follow);
  follow();
  return {
    root,
    update(current) {
      settings = current;
      tell();
    },
    close() {
      clearTimeout(timer);
      model.off("change:code", tell);
      model.off("change:code_open", follow);
    },
  };
}

function render(context) {
  const { model } = context;
  const panel = codePanel(model);
  const close = openLab(context, "Schedule lab", (change) => {
    const defaults = model.get("defaults");
    const longest = Math.max(defaults.total_steps, defaults.compared?.total_steps ?? 0);
    let settings;

    const move = (name, of = (value) => value) => (value) => {
      change(...legalise({ ...settings, [name]: of(value) }, name));
    };
    const steps = (min, max) => wholeScale(min, max, (number) => count(number, "step"));
    const names = (shapes) => Object.keys(shapes).map((name) => [name, name]);
    const controls = {
      peak_lr: slider("peak LR", logScale(1e-5, 10, 20, 2), move("peak_lr")),
      total_steps: slider("total steps", steps(1, Math.min(2 * longest, MOST_STEPS)), move("total_steps")),
      warmup_steps: slider("warmup steps", steps(0, longest), move("warmup_steps")),
      stable_steps: slider("stable steps", steps(0, longest), move("stable_steps")),
      start_factor: slider("start factor", listScale(FACTORS), move("start_factor")),
      end_factor: slider("end factor", listScale(FACTORS), move("end_factor")),
      warmup: choice("warmup shape", names(WARMUPS), move("warmup")),
      decay: choice("decay shape", names(DECAYS), move("decay")),
      count_from: choice(
        "count the steps from",
        [
          [1, "1: the first step climbs"],
          [0, "0: the first step is the start"],
        ],
        move("count_from", Number),
      ),
    };

    const pinned = () => ({ ...settings, compared: null });
    const reset = button("Reset", () => change(model.get("defaults")));
    const pin = button("Compare with this one", () => change({ ...settings, compared: pinned() }));
    const swap = button("Swap", () => change({ ...settings.compared, compared: pinned() }));
    const remove = button("Remove comparison", () => change(pinned()));

    const title = html("h4");
    const [nowEntry, otherEntry] = [legendEntry(), legendEntry()];
    const picture = svg("svg", { role: "img" });
    const axes = new Axes(picture);
    const drops = svg("path", { class: "wc-drop" });
    axes.inner.append(drops);
    const [drawOther, drawNow] = [curve(axes.inner), curve(axes.inner)];
    const table = numberTable();

    function draw(current, width, extra) {
      settings = current;
      panel.update(settings);
      const { compared, peak_lr, total_steps } = settings;
      const limit = { warmup_steps: total_steps, stable_steps: total_steps };
      const level = settings.decay === "constant";
      const idle = { stable_steps: level, end_factor: level, start_factor: settings.warmup_steps === 0 };
      for (const [name, control] of Object.entries(controls)) control.show(settings[name], limit[name], idle[name]);
      for (const { enable } of [swap, remove]) enable(compared !== null);

      const found = numbers(settings);
      const otherFound = compared && numbers(compared);
      const message = scheduleMessage(settings);
      const orange = settings.warmup_steps === 0 && compared?.warmup_steps !== 0;
      const [colour, otherColour] = orange ? [WITHOUT_WARMUP, WITH_WARMUP] : [WITH_WARMUP, WITHOUT_WARMUP];
      const lastStep = Math.max(total_steps, compared?.total_steps ?? 0, 2) - 1;
      const top = roundUp(Math.max(peak_lr, compared?.peak_lr ?? 0));
      const height = Math.max(300 + extra, 180);
      resize(picture, width, height);
      axes.place(
        { left: 62, top: 12, width: width - 76, height: height - 62 },
        { from: 0, to: lastStep, name: "optimizer step", nearest: 1 },
        { from: 0, to: top, name: "learning rate" },
      );
      const marked = CURSORS.map(([cursor]) => found[cursor]).filter((step) => step !== null);
      set(drops, { d: marked.map((step) => `M${pixel(axes.x(step))} ${axes.height}V0`).join("") });
      drawNow(settings, found, axes, colour, "none");
      drawOther(compared, otherFound, axes, otherColour, "8 5");
      table.fillNow(settings, found);
      table.fillOther(compared, otherFound);

      say(title, message);
      nowEntry(compared, "now", colour, "none");
      otherEntry(compared, compared && `compared: ${scheduleMessage(compared)}`, otherColour, "8 5");

      const lr = (step) => short(peak_lr * factor(settings, step));
      const seam = found.seam === null ? "no decay" : `decay from step ${found.seam}`;
      let sentence = `LR ${lr(0)} at step 0, highest ${lr(found.peak)} at step ${found.peak}, ${seam}, `;
      sentence += `${lr(found.last)} at step ${found.last}. LR budget ${short(found.budget * peak_lr)}`;
      if (compared) sentence += `, compared ${short(otherFound.budget * compared.peak_lr)}`;
      sentence += ".";
      const contrast = compared ? ` Compared with, dashed: ${scheduleMessage(compared)}.` : "";
      set(picture, { "aria-label": `Learning rate by optimizer step. ${message}.${contrast} ${sentence}` });
      return sentence;
    }

    const row = (...all) => html("div", { class: "wc-buttons" }, ...all.map(({ root }) => root));
    const few = model.get("controls");
    const knobs = controlPanel(few, controls, few.length ? [row(pin, swap, remove)] : []);
    const buttons = few.length ? row(reset) : row(reset, pin, swap, remove);
    const legend = html("div", { class: "wc-legend" }, nowEntry(false), otherEntry(false));
    return { parts: [...knobs, buttons, title, legend, picture, table.root, panel.root], draw };
  });
  return () => {
    close();
    panel.close();
  };
}

export default { render };
