// Gradient descent with momentum in a bowl: loss = 0.5 * sum(curvature * weight ** 2).

// ---- Arithmetic ----

/** The weights before each step and after the last one. The update is that of torch.optim.SGD. */
export function descend({ lr, curvatures, momentum, start, steps }) {
  const path = [start];
  const velocity = start.map(() => 0);
  for (let step = 0; step < steps; step++) {
    const weights = path[step];
    path.push(
      weights.map((weight, i) => {
        const gradient = curvatures[i] * weight;
        velocity[i] = momentum * velocity[i] + gradient;
        return weight - lr * velocity[i];
      }),
    );
  }
  return path;
}

/** The first step from which on the path stays within 1 % of its first distance to the minimum; null: not in it. */
export function arrival(path) {
  const square = (weights) => weights.reduce((sum, weight) => sum + weight * weight, 0);
  const near = 1e-4 * square(path[0]);
  const away = path.findLastIndex((weights) => !(square(weights) <= near));
  return away === path.length - 1 ? null : away + 1;
}

/** The highest LR that does not diverge. */
export const stabilityLimit = (curvature, momentum) => (2 * (1 + momentum)) / curvature;

/** What a weight does, from its update's eigenvalues z: z ** 2 - (1 + momentum - lr * curvature) z + momentum = 0. */
export function verdict(lr, curvature, momentum, steps) {
  const sum = 1 + momentum - lr * curvature;
  const under = sum * sum - 4 * momentum;
  const size = under < 0 ? Math.sqrt(momentum) : (Math.abs(sum) + Math.sqrt(under)) / 2;
  if (size > 1 + 1e-9) return "diverges";
  if (size >= 1 - 1e-9) return "stays at the edge";
  if (under < 0) return "settles, swinging to and fro";
  if (sum < 0) return "settles, bouncing from wall to wall";
  return size ** steps > 0.01 ? "creeps" : "settles without crossing";
}

/** All weights' verdicts in one line. */
export function descentMessage({ lr, curvatures, momentum, steps }) {
  const verdicts = curvatures.map((curvature) => verdict(lr, curvature, momentum, steps));
  if (verdicts.length === 1) return `The weight ${verdicts[0]}`;
  if (verdicts[0] === verdicts[1]) return `Each weight ${verdicts[0]}`;
  return verdicts.map((text, i) => `weight ${i + 1} ${text}`).join("; ").replace("w", "W");
}

// ---- Picture ----

/** The level lines, as shares of the highest loss in the picture. */
const LEVELS = [0.01, 0.07, 0.25, 0.6];

/** The ground that the path runs on: a parabola for one weight, level lines for two. */
function bowl(inner, dimensions) {
  const curve = svg("path", { class: "wc-ground" });
  const levels = LEVELS.map(() => svg("ellipse", { class: "wc-ground" }));
  const minimum = svg("path", { class: "wc-minimum" });
  if (dimensions === 1) inner.append(curve);
  else inner.append(...levels, minimum);
  return (axes, curvatures, reach) => {
    if (dimensions === 1) {
      const xs = Array.from({ length: 61 }, (_, i) => reach * (i / 30 - 1));
      set(curve, { d: line(xs.map((x) => [axes.x(x), axes.y(0.5 * curvatures[0] * x * x)])) });
      return;
    }
    const highest = 0.5 * (curvatures[0] + curvatures[1]) * reach * reach;
    LEVELS.forEach((share, i) => {
      const [rx, ry] = curvatures.map((curvature) => Math.sqrt((2 * share * highest) / curvature));
      const [x, y] = [axes.x(rx) - axes.x(0), axes.y(0) - axes.y(ry)];
      set(levels[i], { cx: pixel(axes.x(0)), cy: pixel(axes.y(0)), rx: pixel(x), ry: pixel(y) });
    });
    set(minimum, { d: `M${pixel(axes.x(0)) - 8} ${pixel(axes.y(0))}h16m-8 -8v16` });
  };
}

/** A line with a dot for each step. */
function trail(inner) {
  const path = svg("path", { fill: "none", stroke: WITH_WARMUP, "stroke-width": 1.5 });
  const steps = svg("path", { fill: "none", stroke: WITH_WARMUP, "stroke-width": 7, "stroke-linecap": "round" });
  inner.append(path, steps);
  return (points) => {
    set(path, { d: line(points) });
    set(steps, { d: dots(points) });
  };
}

/** The axis of learning rates with the limit of each weight, and where the LR is now. */
function strip(picture, dimensions) {
  const axes = new Axes(picture);
  const safe = svg("rect", { class: "wc-safe" });
  const unsafe = svg("svg", { y: 0, height: 28, overflow: "hidden" });
  const stripes = Array.from({ length: 120 }, (_, i) => `M${9 * i} 0l-28 28`).join("");
  unsafe.append(svg("path", { class: "wc-unsafe", d: stripes }));
  const words = pool(axes.inner, () => svg("text", { class: "wc-halo wc-zone", "text-anchor": "middle" }));
  const marks = Array.from({ length: dimensions }, () => [
    svg("path", { stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": "5 3" }),
    svg("text", { class: "wc-halo" }),
  ]);
  const now = svg("path", { fill: WITH_WARMUP, stroke: WITH_WARMUP, "stroke-width": 3 });
  const nowText = svg("text", { "font-weight": "bold" });
  axes.inner.append(safe, unsafe, ...marks.flat(), now, nowText);
  const band = 28;

  return (box, { lr, curvatures, momentum }, [lowest, highest]) => {
    const top = 20 * dimensions;
    axes.place(
      { ...box, top: box.top + top, height: band + 24 },
      { from: lowest, to: highest, log: true, name: "learning rate (log scale)" },
      { from: 0, to: 1, ticks: [], name: "" },
    );
    const place = (value) => pixel(axes.x(clamp(value, lowest, highest)));
    // A text stands to the right of its place, or to the left where there is more room.
    const write = (text, x, y, message, gap = 6) => {
      const left = x > axes.width / 2;
      set(text, { x: left ? x - gap : x + gap, y, "text-anchor": left ? "end" : "start" });
      say(text, message);
    };
    const limits = curvatures.map((curvature) => stabilityLimit(curvature, momentum));
    const bounds = [...limits].sort((a, b) => a - b);

    set(safe, { x: 0, y: 0, width: place(bounds[0]), height: band });
    set(unsafe, { x: place(bounds[0]), width: pixel(axes.width - place(bounds[0])) });

    const edges = [0, ...bounds.map(place), axes.width];
    const names = dimensions === 1 ? ["settles", "diverges"] : ["both settle", "one diverges", "both diverge"];
    words(names.length).forEach((word, i) => {
      const room = edges[i + 1] - edges[i];
      show(word, room > 9 * names[i].length);
      set(word, { x: pixel(edges[i] + room / 2), y: band / 2 + 5 });
      say(word, names[i]);
    });

    marks.forEach(([mark, text], i) => {
      const x = place(limits[i]);
      const beyond = limits[i] > highest ? " →" : limits[i] < lowest ? " ←" : "";
      const name = dimensions === 1 ? "limit" : `limit of weight ${i + 1}:`;
      set(mark, { d: `M${x} ${20 * i - top + 4}V${band}` });
      write(text, x, 20 * i - top + 15, `${name} ${short(limits[i])}${beyond}`);
    });
    const x = place(lr);
    set(now, { d: `M${x} 0V${band + 6}l6 11h-12l6 -11` });
    write(nowText, x, band + 17, `LR ${short(lr)}`, 12);
  };
}

function render(context) {
  const { model } = context;
  const limits = model.get("limits");
  const dimensions = model.get("defaults").curvatures.length;
  return openLab(context, "Descent lab", (change) => {
    let settings;
    const moveOne = (name, i) => (value) => change({ ...settings, [name]: settings[name].with(i, value) });
    const each = (name, scale, text) =>
      Array.from({ length: dimensions }, (_, i) =>
        slider(dimensions === 1 ? text : `${text} of weight ${i + 1}`, scale, moveOne(name, i)),
      );
    const evenScale = ([low, high], perUnit) => ({
      min: Math.round(perUnit * low),
      max: Math.round(perUnit * high),
      value: (position) => position / perUnit,
      position: (value) => Math.round(perUnit * value),
      text: short,
    });
    const controls = {
      lr: slider("learning rate", logScale(...limits.lr, 100, 3), (lr) => change({ ...settings, lr })),
      momentum: slider("momentum", evenScale(limits.momentum, 100), (momentum) => change({ ...settings, momentum })),
      curvatures: each("curvatures", logScale(...limits.curvatures, 20, 2), "curvature"),
      start: each("start", evenScale(limits.start, 10), "start"),
    };
    const reset = button("Reset", () => change(model.get("defaults")));

    const title = html("h4");
    const picture = svg("svg", { role: "img" });
    const left = new Axes(picture, { clip: true });
    const drawBowl = bowl(left.inner, dimensions);
    const drawPath = trail(left.inner);
    const ring = svg("circle", { r: 9, fill: "none", stroke: WITH_WARMUP, "stroke-width": 2.5 });
    left.inner.append(ring);
    const right = new Axes(picture, { clip: true });
    const drawLoss = trail(right.inner);
    const drawStrip = strip(picture, dimensions);

    function draw(current, width, extra) {
      settings = current;
      const { lr, momentum, curvatures, start, steps } = settings;
      for (const [name, control] of Object.entries(controls)) {
        if (Array.isArray(control)) control.forEach((one, i) => one.show(settings[name][i]));
        else control.show(settings[name]);
      }
      const path = descend(settings);
      const lossOf = (weights) => 0.5 * weights.reduce((sum, weight, i) => sum + curvatures[i] * weight * weight, 0);

      const wide = width >= NARROW;
      const height = Math.max(230 + (wide ? extra : extra / 2), 110); // of both panels
      const panel = { top: 10, left: 62, width: (wide ? width / 2 : width) - 76, height };
      const second = wide ? { ...panel, left: panel.left + width / 2 } : { ...panel, top: panel.top + panel.height + 66 };
      const below = second.top + panel.height + 58;
      resize(picture, width, below + 20 * dimensions + 94);

      // The view stays near the start, so that a path that diverges leaves it.
      const reach = 1.6 * Math.max(...start.map(Math.abs));
      const top = 0.5 * curvatures[0] * reach * reach;
      const named = (i) => `weight ${i + 1}, curvature ${short(curvatures[i])}`;
      const [across, up] =
        dimensions === 1
          ? [{ name: "weight" }, { from: -0.06 * top, to: top, name: "loss" }]
          : [{ name: named(0) }, { from: -reach, to: reach, name: named(1) }];
      left.place(panel, { from: -reach, to: reach, ...across }, up);
      drawBowl(left, curvatures, reach);
      const gone = path.findIndex((weights) => !weights.every((weight) => Math.abs(weight) < 50 * reach));
      const seen = gone < 0 ? path : path.slice(0, gone + 1);
      const points = seen
        .map((weights) => [left.x(weights[0]), left.y(dimensions === 1 ? lossOf(weights) : weights[1])])
        .map((point) => point.map((place) => clamp(place, -1e6, 1e6)));
      drawPath(points);
      set(ring, { cx: pixel(points[0][0]), cy: pixel(points[0][1]) });

      right.place(
        second,
        { from: -0.02 * steps, to: 1.02 * steps, name: "step", nearest: 1 },
        { from: LOSSES[0] / 2, to: LOSSES[1] * 2, log: true, name: "loss (log scale)" },
      );
      // A loss that leaves the panel for good ends at its top: a line along the top would look like one that stays.
      const losses = path.map(lossOf);
      const last = losses.findLastIndex((loss) => loss <= LOSSES[1]) + 1;
      drawLoss(
        losses
          .slice(0, last + 1)
          .map((loss, step) => [right.x(step), right.y(Number.isFinite(loss) ? clamp(loss, ...LOSSES) : LOSSES[1])]),
      );
      drawStrip({ left: 20, top: below, width: width - 40 }, settings, limits.lr);

      const message = descentMessage(settings);
      say(title, message);
      const arrived = arrival(path);
      const limit = Math.min(...curvatures.map((curvature) => stabilityLimit(curvature, momentum)));
      const steepest = dimensions === 1 ? "curvature" : "highest curvature";
      let sentence = `Limit: 2 (1 + momentum) / ${steepest} = ${short(limit)}. Within 1 % of the start's distance: `;
      sentence += arrived === null ? `not within ${count(steps, "step")}.` : `from step ${arrived} on.`;
      const seenBy = `Left the path, right the loss by step, below the learning rates. ${message} at LR ${short(lr)}.`;
      set(picture, { "aria-label": `${seenBy} ${sentence}` });
      return sentence;
    }

    const knobs = controlPanel(model.get("controls"), controls, []);
    const buttons = html("div", { class: "wc-buttons" }, reset.root);
    return { parts: [...knobs, buttons, title, picture], draw };
  });
}

export default { render };
