// From the server's curves to the lines of a chart: cells that differ in the seed alone form a group, which is drawn as
// its mean with a band, or seed by seed.
"use strict";

// The most x values that the lines of a chart have together; more than a screen has columns.
const GRID = 2000;

// Returns the groups of the answers: { key, sweep, method, fraction, lr, cells }.
export function groupsOf(answers) {
  const groups = new Map();
  answers.forEach((answer, side) => {
    for (const cell of answer.cells) {
      const key = [answer.sweep, cell.method, cell.fraction, cell.lr].join("|");
      if (!groups.has(key)) {
        const { method, fraction, lr } = cell;
        groups.set(key, { key, side, sweep: answer.sweep, method, fraction, lr, cells: [] });
      }
      groups.get(key).cells.push(cell);
    }
  });
  return [...groups.values()];
}

// Returns the runs of a group for one series: one for each different stage, because cells may share a stage.
function runsOf(group, stages, name) {
  const kind = name.split("/")[0];
  const ids = new Set(group.cells.map((cell) => (kind === "pretext" ? cell.pretext : cell.downstream)));
  const runs = [];
  for (const id of ids) {
    const series = stages.get(id)?.series.find((one) => one.name === name);
    if (series?.x.length) runs.push({ id, x: series.x, y: series.y });
  }
  return runs;
}

// Smooths values as TensorBoard does: a moving average whose weights sum to one from the first value on.
export function smoothed(values, weight) {
  if (weight <= 0) return values;
  let last = 0;
  let sum = 0;
  return values.map((value) => {
    last = last * weight + (1 - weight) * value;
    sum = sum * weight + (1 - weight);
    return last / sum;
  });
}

// Returns the value of a run at x, on the straight line between its neighbours; null outside of the run.
export function valueAt(run, x) {
  const { x: xs, y: ys } = run;
  if (x < xs[0] || x > xs[xs.length - 1]) return null;
  let low = 0;
  let high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  if (xs[high] === xs[low]) return ys[high];
  const share = (x - xs[low]) / (xs[high] - xs[low]);
  return ys[low] + share * (ys[high] - ys[low]);
}

// Returns the mean of runs at the x values of the longest one, with one standard deviation where two runs reach.
export function meanOf(runs) {
  const longest = runs.reduce((a, b) => (b.x[b.x.length - 1] > a.x[a.x.length - 1] ? b : a));
  const mean = [];
  const spread = [];
  for (const x of longest.x) {
    const values = runs.map((run) => valueAt(run, x)).filter((value) => value !== null);
    const average = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - average) ** 2, 0);
    mean.push(average);
    spread.push(values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null);
  }
  return { x: longest.x, y: mean, spread, runs: runs.length };
}

// Returns the lines of a chart. A line has { group, part, x, y, spread, runs, seed }. Groups whose runs are the same
// stages have one line together, with all of these groups.
export function linesOf(groups, stagesOfSide, kind, state) {
  const [stage, metric] = kind.split("/");
  const lines = new Map();
  for (const part of ["train", "validation", "test"]) {
    for (const group of groups) {
      const runs = runsOf(group, stagesOfSide[group.side], `${stage}/${part}/${metric}`);
      if (runs.length === 0) continue;
      const smooth = runs.map((run) => ({ ...run, y: smoothed(run.y, state.smooth) }));
      const drawn = state.show === "mean" ? [{ id: runs.map((run) => run.id).join(), ...meanOf(smooth) }] : smooth;
      for (const line of drawn) {
        const key = `${part}|${group.method}|${group.side}|${line.id}`;
        if (lines.has(key)) lines.get(key).groups.push(group);
        else lines.set(key, { ...line, part, groups: [group] });
      }
    }
  }
  return [...lines.values()];
}

// Returns the lines as uPlot reads them: common x values, and for each line its values there or null. Lines with many
// different x values are put on a grid that is finer than the screen.
export function aligned(lines, logX) {
  const all = new Set();
  for (const line of lines) for (const x of line.x) if (!logX || x > 0) all.add(x);
  let xs = [...all].sort((a, b) => a - b);
  let snap = (x) => x;
  if (xs.length > GRID) {
    const warp = logX ? Math.log : (x) => x;
    const [from, to] = [warp(xs[0]), warp(xs[xs.length - 1])];
    const back = logX ? Math.exp : (x) => x;
    const places = Array.from({ length: GRID }, (_, place) => back(from + (place * (to - from)) / (GRID - 1)));
    snap = (x) => places[Math.round(((warp(x) - from) / (to - from)) * (GRID - 1))];
    xs = places;
  }
  const place = new Map(xs.map((x, index) => [x, index]));
  const columns = lines.map((line) => {
    const column = { y: new Array(xs.length).fill(null), spread: new Array(xs.length).fill(null) };
    line.x.forEach((x, index) => {
      const at = place.get(snap(x));
      if (at === undefined) return;
      column.y[at] = line.y[index];
      column.spread[at] = line.spread?.[index] ?? null;
    });
    return column;
  });
  return { xs, columns };
}
