// How many seeds train at each peak LR and warmup length, and the runs behind one of these numbers.

const OUTCOMES = ["trained", "slow", "stalled", "diverged"];

// ---- Arithmetic ----

/** What is drawn of a run: its losses within the picture, up to the first one that is not finite. */
export function drawnLosses(losses, floor, ceiling) {
  const end = losses.findIndex((loss) => !Number.isFinite(loss));
  const diverged = end >= 0;
  const kept = losses.subarray(0, diverged ? end : losses.length);
  const shown = Array.from(kept, (loss) => clamp(loss, floor, ceiling));
  return { diverged, shown: diverged ? [...shown, ceiling] : shown };
}

/** How many runs ended in each way. */
export function tally(outcomes) {
  return Object.fromEntries(OUTCOMES.map((name) => [name, outcomes.filter((outcome) => outcome === name).length]));
}

const tallyText = (outcomes) =>
  Object.entries(tally(outcomes))
    .filter(([, number]) => number)
    .map(([name, number]) => `${number} ${name}`)
    .join(", ");

const lrText = (lr) => short(lr, 6);
const armName = (warmup) => (warmup ? `${warmup} warmup steps` : "no warmup");

/** What the chosen cell shows, beside the one without warmup. */
export function stabilityMessage(lr, warmup, trained, seeds, bare) {
  const start = `Peak LR ${lrText(lr)}: ${trained} of ${seeds} train`;
  if (!warmup) return `${start} without warmup`;
  return `${start} with ${armName(warmup)}${bare === null ? "" : `, ${bare} without`}`;
}

// ---- Picture ----

/** The map as a grid of cells to choose from, by mouse or arrow keys. */
function cellGrid({ peak_lr, warmup_steps, outcomes, colours, title }, chosen) {
  const seeds = outcomes[0][0].length;
  const cells = peak_lr.map((lr, row) =>
    warmup_steps.map((warmup, column) => {
      const trained = tally(outcomes[row][column]).trained;
      const label = `peak LR ${lrText(lr)}, ${armName(warmup)}: ${trained} of ${seeds} train`;
      const cell = html("td", { role: "gridcell", "aria-label": label, tabindex: -1, ...OWN_KEYS }, String(trained));
      Object.assign(cell.style, { background: colours[trained], color: trained > seeds / 2 ? "#000" : "#fff" });
      cell.addEventListener("click", () => choose(row, column));
      return cell;
    }),
  );
  const head = (scope, text) => html("th", { scope }, text);
  // Like an axis: the highest LR on top.
  const rows = peak_lr.map((lr, i) => html("tr", {}, head("row", lrText(lr)), ...cells[i])).reverse();
  const foot = html("tr", {}, html("td"), ...warmup_steps.map((warmup) => head("col", String(warmup))));
  const name = html("tr", {}, html("td"), html("th", { colspan: warmup_steps.length }, "warmup steps"));
  const label = `${title}: peak LR up, warmup steps across`;
  const grid = html("table", { role: "grid", class: "wc-map", "aria-label": label });
  grid.append(html("tr", {}, html("th", { class: "wc-first" }, "peak LR")), ...rows, foot, name);
  let at = [0, 0];

  function choose(row, column) {
    chosen(peak_lr[row], warmup_steps[column]);
    cells[row][column].focus();
  }

  const moves = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  moves.Home = [0, -warmup_steps.length];
  moves.End = [0, warmup_steps.length];
  grid.addEventListener("keydown", (event) => {
    if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // the page would scroll
    const [up, right] = moves[event.key];
    choose(clamp(at[0] + up, 0, peak_lr.length - 1), clamp(at[1] + right, 0, warmup_steps.length - 1));
  });

  return {
    root: grid,
    show(row, column) {
      set(cells[at[0]][at[1]], { tabindex: -1, "aria-selected": false });
      at = [row, column];
      set(cells[row][column], { tabindex: 0, "aria-selected": true });
    },
  };
}

/** The runs of one cell: a thin line a seed, a cross where a run diverged. */
function runLines(inner, dashes) {
  const group = svg("g", { fill: "none" });
  const lines = pool(group, () => svg("path", { class: "wc-run" }));
  const ends = svg("path", { "stroke-width": 2.5 });
  group.append(ends);
  inner.append(group);
  return (runs, axes, colour) => {
    lines(runs.length).forEach((path, i) => {
      const d = line(runs[i].shown.map((loss, step) => [axes.x(step), axes.y(loss)]));
      set(path, { d, stroke: colour, "stroke-dasharray": dashes(colour) });
    });
    const diverged = runs.filter((run) => run.diverged);
    const last = ({ shown }) => [axes.x(shown.length - 1), axes.y(shown.at(-1))];
    set(ends, { d: crosses(diverged.map(last)), stroke: colour });
  };
}

function render(context) {
  const { model } = context;
  const data = model.get("data");
  const { peak_lr: rates, warmup_steps: ramps, outcomes, steps, floor, ceiling } = data;
  const seeds = outcomes[0][0].length;
  const bytes = model.get("losses");
  const losses = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const bareColumn = ramps.indexOf(0);

  const runsOf = (row, column) =>
    Array.from({ length: seeds }, (_, seed) => {
      const first = ((row * ramps.length + column) * seeds + seed) * steps;
      return drawnLosses(losses.subarray(first, first + steps), floor, ceiling);
    });

  return openLab(context, "Stability lab", (change) => {
    let settings;
    const controls = {
      peak_lr: slider("peak LR", listScale(rates, lrText), (peak_lr) => change({ ...settings, peak_lr })),
      warmup_steps: slider("warmup steps", listScale(ramps, String), (warmup_steps) => {
        change({ ...settings, warmup_steps });
      }),
    };
    const reset = button("Reset", () => change(model.get("defaults")));
    const grid = cellGrid(data, (peak_lr, warmup_steps) => change({ peak_lr, warmup_steps }));
    const map = html("div", {}, html("p", { class: "wc-caption" }, data.title), grid.root);

    const title = html("h4");
    const [chosenEntry, bareEntry] = [legendEntry(), legendEntry()];
    const legend = html("div", { class: "wc-legend" }, chosenEntry(false), bareEntry(false));
    const picture = svg("svg", { role: "img" });
    const right = html("div", {}, legend, picture);
    const axes = new Axes(picture);
    const dashes = (colour) => (colour === WITHOUT_WARMUP ? "5 3" : "none");
    const [drawBare, drawChosen] = [runLines(axes.inner, dashes), runLines(axes.inner, dashes)];

    function draw(current, width, extra) {
      settings = current;
      const { peak_lr, warmup_steps } = settings;
      for (const [name, control] of Object.entries(controls)) control.show(settings[name]);
      const [row, column] = [rates.indexOf(peak_lr), ramps.indexOf(warmup_steps)];
      if (row < 0 || column < 0) throw new Error(`the map has no LR ${peak_lr} with ${warmup_steps} warmup steps`);
      grid.show(row, column);

      const mapWidth = Math.min(86 + 52 * ramps.length, 0.45 * width);
      const beside = width >= NARROW;
      map.style.width = beside ? em(mapWidth) : "100%";
      const room = Math.floor(beside ? width - mapWidth - 20 : width);
      right.style.width = em(room);
      const height = Math.max(330 + extra, 200);
      resize(picture, room, height);
      const contrast = bareColumn >= 0 && warmup_steps > 0;
      const [bareRuns, chosenRuns] = [contrast ? runsOf(row, bareColumn) : [], runsOf(row, column)];
      const longest = Math.max(...[...bareRuns, ...chosenRuns].map(({ shown }) => shown.length));
      const few = longest <= FIRST_STEPS && FIRST_STEPS < steps;
      const last = Math.max((few ? FIRST_STEPS : steps) - 1, 1);
      const name = few ? `optimizer step (the first ${FIRST_STEPS})` : "optimizer step";
      axes.place(
        { left: 62, top: 12, width: room - 76, height: height - 62 },
        { from: 0, to: last, name, nearest: 1 },
        { from: floor, to: ceiling, log: true, name: "training loss (log scale)" },
      );
      drawBare(bareRuns, axes, WITHOUT_WARMUP);
      const colour = warmup_steps ? WITH_WARMUP : WITHOUT_WARMUP;
      drawChosen(chosenRuns, axes, colour);

      const trained = tally(outcomes[row][column]).trained;
      const bare = contrast ? tally(outcomes[row][bareColumn]).trained : null;
      const counts = (number) => `${number} of ${seeds} train`;
      chosenEntry(true, `${armName(warmup_steps)}: ${counts(trained)}`, colour, dashes(colour));
      bareEntry(contrast, `no warmup: ${counts(bare)}`, WITHOUT_WARMUP, dashes(WITHOUT_WARMUP));
      const message = stabilityMessage(peak_lr, warmup_steps, trained, seeds, bare);
      say(title, message);
      let sentence = `Of ${seeds} runs with ${armName(warmup_steps)}: ${tallyText(outcomes[row][column])}.`;
      if (contrast) sentence += ` With no warmup: ${tallyText(outcomes[row][bareColumn])}.`;
      set(picture, { "aria-label": `Training loss by optimizer step, a line for each seed. ${message}. ${sentence}` });
      return sentence;
    }

    const knobs = html("div", { class: "wc-controls" }, ...Object.values(controls).map(({ root }) => root));
    const buttons = html("div", { class: "wc-buttons" }, reset.root);
    const panels = html("div", { class: "wc-panels" }, map, right);
    return { parts: [knobs, buttons, title, panels], draw };
  });
}

export default { render };
