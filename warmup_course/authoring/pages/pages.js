// What a kernel does in a lesson, done in its page: predictions and questions are answered and kept in this browser, and
// a lab gets a model that nobody else listens to.

const PREFIX = "warmup_course/";

function remember(key, answer) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(answer));
  } catch {} // a browser may keep nothing: the page works all the same
}

function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key));
  } catch {
    return null;
  }
}

/** The first page's button is there when there is something to forget. */
function offerToForget() {
  const button = document.querySelector(".wc-forget");
  if (!button) return; // pressed before
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  button.hidden = !keys.length;
  button.onclick = () => {
    const all = `all that you answered on these pages, predictions and questions (${keys.length})`;
    if (!confirm(`Forget ${all}? It is kept nowhere else.`)) return;
    for (const key of keys) localStorage.removeItem(key);
    button.replaceWith("Your answers are forgotten.");
  };
}

// ---- Predictions ----

const SKIPPED = -1;

/** Hide what follows the first open prediction. (Styles with :has() would do, if Chromium kept them up to date.) */
function hideAnswers() {
  const open = document.querySelector(".wc-open");
  for (const part of document.querySelectorAll("article section > :not(section)")) {
    const later = open && open.compareDocumentPosition(part) & Node.DOCUMENT_POSITION_FOLLOWING;
    part.classList.toggle("wc-later", Boolean(later));
  }
}

function predict(form) {
  const { key } = form.dataset;
  const reveal = [...document.querySelectorAll(".wc-reveal")].find((one) => one.dataset.key === key);
  const labels = [...form.querySelectorAll("label div")];
  const right = reveal ? Number(reveal.dataset.right) : SKIPPED;

  function settle(choice) {
    const locked = choice !== SKIPPED;
    form.classList.remove("wc-open");
    for (const input of form.elements) input.disabled = true;
    if (locked) form.elements.answer[choice].checked = true;
    form.querySelector("[role=status]").textContent = locked ? "Locked." : "Not predicted.";
    if (!reveal) return;
    const verdict = choice === right ? "✔ It held." : "✘ It did not hold.";
    const yours = reveal.querySelector(".wc-yours");
    if (locked) yours.append("You predicted: ", labels[choice].cloneNode(true), verdict);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const choice = Number(new FormData(form).get("answer"));
    remember(key, choice);
    settle(choice);
    hideAnswers();
  });
  form.querySelector(".wc-skip").addEventListener("click", () => {
    remember(key, SKIPPED);
    settle(SKIPPED);
    hideAnswers();
  });
  const kept = recall(key);
  if (kept === SKIPPED || labels[kept]) settle(kept);
}

// ---- Questions ----

/** As the lessons read it: 0,05 and 1/20 are numbers too, and 18,750 has a thousands separator. */
function numberIn(text) {
  const whole = text.replace(/\b[1-9]\d{0,2}(,\d{3})+\b/g, (thousands) => thousands.replaceAll(",", ""));
  const parts = whole.replaceAll(",", ".").replaceAll("−", "-").split("/");
  const [top, bottom = 1] = parts.map((part) => (part.trim() ? Number(part) : NaN));
  return parts.length > 2 ? NaN : top / bottom;
}

// What was given and what is right -> whether it is right, the numbers of the explanations to show, and what else to say.
const JUDGES = {
  single: (given, right) => [given[0] === right[0], given],
  several(given, right) {
    const wrong = [...given, ...right].filter((n) => given.includes(n) !== right.includes(n));
    return [!wrong.length, wrong.length ? wrong : given];
  },
  number([text], { answer, tolerance, mistakes }) {
    const near = (value) => Math.abs(numberIn(text) - value) <= tolerance;
    const mistake = mistakes.findIndex(near);
    return near(answer) ? [true, [0]] : [false, [mistake < 0 ? mistakes.length + 1 : mistake + 1]];
  },
  order(given, right) {
    const place = right.findIndex((n, i) => n !== given[i]);
    return place < 0 ? [true, [right.length]] : [false, [given[place]], `Look at place ${place + 1}.`];
  },
};
const MISSING = {
  several: (given) => !given.length && "Choose at least one first.",
  number: ([text]) => !Number.isFinite(numberIn(text)) && "Write a number like 0.05, 5e-2 or 1/20.",
  order: (given, right) => given.length < right.length && "Choose all, one after the other.",
};

function ask(form) {
  const { kind, key } = form.dataset;
  const right = JSON.parse(form.dataset.right);
  const status = form.querySelector("[role=status]");
  const whys = [...form.querySelectorAll(".wc-why")];
  const letters = [...form.querySelectorAll("label b")].map(({ textContent }) => textContent[0]);
  let given = [];

  const order = () => (kind === "order" && given.length ? `Your order: ${given.map((n) => letters[n]).join(" → ")}. ` : "");

  function show(explained, words) {
    whys.forEach((why, n) => (why.hidden = !explained.includes(n)));
    status.textContent = words;
  }

  function judge() {
    const [held, explained, more = ""] = JUDGES[kind](given, right);
    show(explained, `${order()}${held ? "✔ Right." : "✘ Not this time."} ${more}`);
  }

  form.addEventListener("input", ({ target }) => {
    const value = kind === "number" ? target.value : Number(target.value);
    const others = target.type === "checkbox" ? given.filter((n) => n !== value) : [];
    given = target.type !== "checkbox" || target.checked ? [...others, value] : others;
    show([], order());
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const missing = MISSING[kind]?.(given, right);
    if (missing) return show([], missing);
    remember(key, given);
    judge();
  });
  const kept = recall(key);
  if (!Array.isArray(kept)) return;
  given = kept;
  for (const input of form.querySelectorAll("input")) {
    if (kind === "number") input.value = given[0];
    else input.checked = given.includes(Number(input.value));
  }
  judge();
}

// ---- Labs ----

/** An anywidget's model without a kernel. */
function modelOf(state) {
  const listeners = [];
  return {
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      for (const { event, listener } of listeners) if (event === `change:${name}`) listener();
    },
    save_changes() {},
    on: (event, listener) => listeners.push({ event, listener }),
  };
}

async function host(place) {
  const { _esm, _css, ...state } = JSON.parse(place.nextElementSibling.textContent);
  if (state.losses) state.losses = new DataView(Uint8Array.from(atob(state.losses), (c) => c.charCodeAt(0)).buffer);
  const address = URL.createObjectURL(new Blob([_esm], { type: "text/javascript" }));
  const lab = await import(address);
  const style = document.createElement("style");
  style.textContent = _css;
  place.replaceChildren(style);
  lab.default.render({ model: modelOf(state), el: place });
}

// ---- Search ----

/** A result quotes no answer of a prediction: its reader may not have come to it. */
function quoteNoAnswers() {
  const { htmlToText } = Search; // Sphinx's
  Search.htmlToText = (text, place) => htmlToText(text.replace(/<div class="wc-reveal".*?<\/div>/gs, ""), place);
}

// ---- The page ----

/** Go where the address leads once more, when labs have pushed that down; not if the reader has gone elsewhere. */
function goThere() {
  const [{ type }] = performance.getEntriesByType("navigation"); // otherwise the browser goes where the reader was
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (type === "navigate" && !moved) place?.scrollIntoView({ behavior: "instant" });
}

/** Labs and figures look where JupyterLab says whether it is dark; the theme says it elsewhere. */
function tellDark() {
  const { theme } = document.body.dataset;
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.body.dataset.jpThemeLight = String(!dark);
}

new MutationObserver(tellDark).observe(document.body, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tellDark);
tellDark();
for (const form of document.querySelectorAll("form.wc-ask")) (form.dataset.kind === "prediction" ? predict : ask)(form);
hideAnswers();
document.documentElement.classList.add("wc-ready");
// Their texts say more than the one label that all of them have.
for (const summary of document.querySelectorAll("details.hide > summary")) summary.removeAttribute("aria-label");
let moved = false;
for (const way of ["wheel", "touchmove", "mousedown", "keydown"]) window.addEventListener(way, () => (moved = true));
const hosted = Promise.all([...document.querySelectorAll(".wc-host")].map(host));
hosted.then(() => requestAnimationFrame(() => requestAnimationFrame(goThere))); // labs are as high as they get
if (document.getElementById("search-results")) quoteNoAnswers();
if (document.querySelector(".wc-forget")) window.addEventListener("pageshow", offerToForget); // on the way back, too
