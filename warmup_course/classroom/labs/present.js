// "Present": a lab alone on the whole screen, and keys for all that a presenter does with it.
// Labs that draw in the kernel have this file as a widget of their own, those in the browser have it before chart.js.

// JupyterLab looks for this at the element that has the focus; elsewhere it would take the keys. Notebook 7 takes more of
// them, a slider's arrow keys too.
const SUPPRESS = "data-lm-suppress-shortcuts";
const SLIDERS = "input[type=range]:enabled, .noUi-handle";
const STOPS = "button:not([tabindex='-1']), input:enabled, select, textarea, summary, [tabindex='0']"; // of Tab
const TYPED_INTO = "input:not([type=range], [type=checkbox]), select, textarea, [contenteditable=true]";
const HELP =
  "← → move · Tab next control · r reset · h hide or show · k keep · n, b next, back · Ctrl+C copy, Ctrl+V paste · d dark · Esc leave · ? help";

/** Whether a value may stand where another does. No lab has a control that goes below 0; null stands for no object. */
function fits(value, like) {
  if (Array.isArray(like)) return Array.isArray(value) && value.every((one) => fits(one, like[0]));
  if (typeof value !== typeof like || Array.isArray(value)) return false;
  if (value === null || like === null || typeof like !== "object") return typeof like !== "number" || value >= 0;
  const names = Object.keys(like);
  return Object.keys(value).length === names.length && names.every((name) => name in value && fits(value[name], like[name]));
}

/** Settings from lines of JSON, some with a question. Throws for lines that are not settings like these. */
export function parseSettings(text, like) {
  return text.trim().split("\n").map((line) => {
    const position = JSON.parse(line);
    const { ask = "", ...settings } = position ?? {};
    if (!fits(settings, like) || !fits(ask, "")) throw new Error(`no settings of this lab: ${line}`);
    return position;
  });
}

/**
 * The button that lets a lab fill the screen. lab() is the lab's element; model has its settings, its defaults and the
 * settings kept, some with a question to ask before the result is seen; change(settings) moves the lab there; resized()
 * is called when the presentation begins or ends.
 */
function presenter(model, lab, change, resized) {
  const button = document.createElement("button");
  const said = document.createElement("div");
  const asked = document.createElement("div");
  let root = null; // the lab while it is presented
  let slider = null; // the last one that had the focus
  let at = 0;

  Object.assign(button, { type: "button", textContent: "Present", title: "This lab alone on the whole screen (p)" });
  button.setAttribute(SUPPRESS, "true");
  said.className = "wc-said";
  asked.className = "wc-asked";
  for (const line of [said, asked]) line.setAttribute("role", "status");

  async function begin() {
    const element = lab();
    // Its place is kept free: what a notebook shows, and so holds in the page, depends on where it is.
    element.parentElement.style.minHeight = `${element.offsetHeight}px`;
    try {
      await element.requestFullscreen();
    } catch {
      element.classList.add("wc-window"); // where a page may not fill the screen, the lab fills the page
    }
    follow();
  }

  function leave() {
    root.classList.remove("wc-window");
    if (document.fullscreenElement) document.exitFullscreen();
    else follow();
  }

  const say = (text) => (said.textContent = text);
  const aim = () => {
    const usable = slider?.isConnected && slider.matches(SLIDERS); // it may be switched off by now
    (usable ? slider : root.querySelector(`${SLIDERS}, [tabindex="0"]`))?.focus();
  };
  const kept = () => [model.get("defaults"), ...model.get("kept")];

  function moveTo({ ask = "", ...settings }) {
    change(settings); // first, as it may fail
    root.classList.toggle("wc-blank", Boolean(ask)); // until the hands are counted
    asked.textContent = ask;
    resized(true); // the question takes some of the room
    if (!root.contains(document.activeElement)) aim(); // the slider that had the focus is switched off there
  }

  function go(by) {
    at = Math.min(Math.max(at + by, 0), kept().length - 1);
    moveTo(kept()[at]);
    if (kept().length === 1) say("This is the only position: k keeps one more.");
  }

  function keep(positions) {
    at = kept().length;
    model.set("kept", [...model.get("kept"), ...positions]);
    model.save_changes();
    say(`Positions kept: ${kept().length - 1}. n and b go through them, Ctrl+C copies yours.`);
  }

  const keys = {
    Escape: leave,
    p: leave,
    n: () => go(1),
    b: () => go(-1),
    k: () => keep([model.get("settings")]),
    r: () => moveTo(model.get("defaults")),
    h: () => root.classList.toggle("wc-blank"),
    d: () => root.classList.toggle("wc-dark"),
    "?": () => say(HELP),
  };
  // What remote controls send: two buttons, and one that makes the screen black.
  Object.assign(keys, { PageDown: keys.n, PageUp: keys.b, ".": keys.h });

  /** Tab goes round in the lab: from its last control to the first, and back. */
  function goRound(event) {
    const stops = [...root.querySelectorAll(STOPS)].filter((stop) => stop.checkVisibility({ visibilityProperty: true }));
    const [end, other] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (event.target !== end) return;
    event.preventDefault();
    other.focus();
  }

  /** Called before JupyterLab and the controls look at a key. */
  function pressed(event) {
    const { key, target } = event;
    const inside = lab()?.contains(target);
    const modified = event.ctrlKey || event.altKey || event.metaKey;
    const typed = inside && target.matches(TYPED_INTO) && key.length === 1;
    const action = root ? keys[key] : inside && key === "p" && begin;
    const moves = inside && key.startsWith("Arrow") && !modified && target.matches(SLIDERS);
    if (root) say("");
    if (root && key === "Tab") goRound(event);
    if (action && !modified && !typed) {
      event.preventDefault();
      event.stopImmediatePropagation();
      action();
    } else if (root && !inside) {
      event.stopImmediatePropagation(); // behind the lab, nothing is to happen
      aim();
    } else if ((root || moves) && !target.hasAttribute(SUPPRESS)) {
      target.setAttribute(SUPPRESS, "true");
      setTimeout(() => target.removeAttribute(SUPPRESS));
    }
  }

  function focused({ target }) {
    if (!root) return;
    if (target.matches(SLIDERS) && root.contains(target)) slider = target;
    else if (target === root || !root.contains(target)) aim();
  }

  function copied(event) {
    if (!root || event.target.matches(TYPED_INTO) || !getSelection().isCollapsed) return;
    const yours = model.get("kept").filter(({ ask }) => !ask); // prepared ones have a question
    const positions = yours.length ? yours : [model.get("settings")];
    event.clipboardData.setData("text/plain", positions.map((settings) => JSON.stringify(settings)).join("\n"));
    event.preventDefault();
    event.stopImmediatePropagation();
    say(`Copied: ${positions.length} of this lab's positions, each a line.`);
  }

  function pasted(event) {
    if (!root || event.target.matches(TYPED_INTO)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    try {
      const positions = parseSettings(event.clipboardData.getData("text/plain"), model.get("defaults"));
      moveTo(positions[0]);
      keep(positions);
    } catch (error) {
      say(`Not pasted: ${error.message}`);
    }
  }

  function follow() {
    const presented = Boolean(lab()) && (document.fullscreenElement === lab() || lab().matches(".wc-window"));
    if (presented === Boolean(root)) return;
    if (presented) {
      root = lab();
      root.classList.add("wc-presented");
      root.classList.toggle("wc-dark", document.body.dataset.jpThemeLight === "false");
      root.tabIndex = -1; // so that a click beside the controls stays here
      root.prepend(asked);
      root.append(said);
      button.textContent = "Leave";
      say(HELP);
      if (!root.querySelector(`:is(${SLIDERS}):focus`)) aim();
    } else {
      said.remove();
      asked.remove();
      asked.textContent = "";
      root.classList.remove("wc-presented", "wc-dark", "wc-blank");
      root.removeAttribute("tabindex");
      root.parentElement.style.minHeight = "";
      root = null;
      button.textContent = "Present";
      button.focus();
    }
    resized(presented);
  }

  const listeners = { keydown: pressed, focusin: focused, copy: copied, paste: pasted, fullscreenchange: follow };
  for (const [name, listener] of Object.entries(listeners)) window.addEventListener(name, listener, true);
  button.addEventListener("click", () => (root ? leave() : begin()));
  if (document.body.matches("[data-voila], .wc-alone")) {
    // A page of one lab, see demo.py: it fills the page as soon as it is seen, and asks its first question.
    const shown = new ResizeObserver(async () => {
      if (!button.offsetWidth) return;
      shown.disconnect();
      await begin();
      go(1);
    });
    shown.observe(button);
  }
  return {
    button,
    close() {
      for (const [name, listener] of Object.entries(listeners)) window.removeEventListener(name, listener, true);
    },
  };
}
