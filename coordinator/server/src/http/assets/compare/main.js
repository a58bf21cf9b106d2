// The comparison page: it asks the read API for the chosen cells of one or two sweeps and draws their curves. The state
// is in the address. The page's stream says when something changed.
"use strict";

import { Chart } from "./chart.js";
import { Chooser } from "./chooser.js";
import { ask, curvesPath, kindsOf } from "./data.js";
import { Efficiency } from "./efficiency.js";
import { findings } from "./health.js";
import { groupsOf, linesOf } from "./lines.js";
import { element, looks, sample } from "./look.js";
import { read, write } from "./state.js";

// Curves that are shown if the address does not say which. What collapses or over-fits is seen in them.
const FIRST = ["pretext/loss", "pretext/accuracy", "pretext/knn-accuracy", "downstream/loss", "downstream/accuracy"];
// Most cells that are chosen without being asked for.
const MOST = 100;
// Shortest time between two questions because something changed, in milliseconds.
const PAUSE = 4000;

const root = document.getElementById("compare");
const sweep = root.dataset.sweep;
const state = read(location.search);
const charts = new Map();
let axes = null;
let sweeps = [];
let answers = [];
let curves = [];
let kinds = FIRST;
let asking = null;
let again = 0;

const chooser = new Chooser((change) => update(change));
const efficiency = new Efficiency((figure) => update({ figure }));
const says = element("p", { class: "small", role: "status" });
const legend = element("ul", { class: "legend" });
const health = element("ul", { class: "health", tabindex: "0", "aria-labelledby": "health-title" });
const panels = element("div", { class: "panels" });
const healthTitle = element("h2", { id: "health-title" }, "Do the curves look healthy?");
const healthPart = element("section", { "aria-labelledby": "health-title" }, healthTitle, health);
root.append(
  element("div", { class: "first" }, efficiency.node, healthPart),
  element("h2", {}, "Curves"),
  chooser.node,
  says,
  legend,
  panels,
);
root.hidden = false;

function sides() {
  return state.other ? [sweep, state.other] : [sweep];
}

// Unites the axes of one or two sweeps.
function united(all) {
  const by = (list, key) => [...new Map(list.map((one) => [key(one), one])).values()];
  const same = (one) => one;
  return {
    methods: by(
      all.flatMap((one) => one.methods),
      (one) => one.method,
    ),
    fractions: by(
      all.flatMap((one) => one.fractions),
      same,
    ).sort((a, b) => a - b),
    policies: by(
      all.flatMap((one) => one.policies),
      same,
    ),
    seeds: by(
      all.flatMap((one) => one.seeds),
      same,
    ).sort((a, b) => a - b),
    isFinal: all.every((one) => one.is_final),
  };
}

// Returns the state with its defaults: every method with the fewest labels that have results, under the first policy.
function filled() {
  const answer = answers[0]?.answers.find((one) => one.fraction !== null);
  const method = state.method ?? axes.methods.map((one) => one.method);
  const fraction = state.fraction ?? [String(answer?.fraction ?? axes.fractions[0])];
  const lr = state.lr ?? [answer?.lr ?? axes.policies[0]];
  const room = Math.max(1, Math.floor(MOST / (method.length * fraction.length * lr.length * sides().length)));
  const seed = state.seed ?? axes.seeds.slice(0, room);
  const curve =
    state.curve ?? kinds.filter((kind) => FIRST.includes(kind) || /collapse|rank|std|variance/.test(kind));
  return { ...state, method, fraction, lr, seed, curve };
}

function titles() {
  return new Map(axes.methods.map(({ method, title }) => [method, title]));
}

// Changes the state and the address, and draws; asks the server if other cells or curves are wanted.
async function update(change) {
  Object.assign(state, change);
  history.replaceState(null, "", `${location.pathname}${write(state)}`);
  if ("other" in change) await load();
  else if (["method", "fraction", "lr", "seed", "curve", "x"].some((field) => field in change)) await loadCurves();
  draw();
}

// Asks for everything.
async function load() {
  try {
    const all = await Promise.all(sides().map((id) => ask(`/sweeps/${id}`)));
    axes = united(all);
    answers = await Promise.all(sides().map((id) => ask(`/sweeps/${id}/answers`)));
    sweeps = (await ask("/sweeps")).sweeps.map((one) => one.sweep).filter((id) => id !== sweep);
  } catch (error) {
    says.textContent = `The sweep could not be read: ${error.message}`;
    return;
  }
  await loadCurves();
}

// Asks for the curves of the chosen cells. An older question that is still open is given up.
async function loadCurves() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  says.textContent = curves.length ? says.textContent : "Reading curves…";
  const choice = filled();
  try {
    for (const turn of [1, 2]) {
      const series = choice.curve.flatMap((kind) => {
        const [stage, metric] = kind.split("/");
        return ["train", "validation"].map((part) => `${stage}/${part}/${metric}`);
      });
      const empty = ["method", "fraction", "lr", "seed", "curve"].some((field) => choice[field].length === 0);
      curves = empty
        ? []
        : await Promise.all(sides().map((id) => ask(curvesPath(id, choice, state.x, series), signal)));
      const found = kindsOf(curves);
      const isNew = found.some((kind) => !kinds.includes(kind));
      if (found.length) kinds = sorted(new Set([...found, ...choice.curve]));
      // The first answer says which other curves there are; some of them are shown without being asked for.
      if (turn === 2 || !isNew || state.curve) break;
      const more = filled().curve;
      if (more.every((kind) => choice.curve.includes(kind))) break;
      choice.curve = more;
    }
    const cells = curves.reduce((count, answer) => count + answer.cells.length, 0);
    says.textContent = cells ? `${cells} cells` : "Choose a method, a label fraction, a policy, a seed and a curve.";
  } catch (error) {
    if (error.name !== "AbortError") says.textContent = `The curves could not be read: ${error.message}`;
  }
}

function sorted(found) {
  const place = (kind) => (FIRST.includes(kind) ? FIRST.indexOf(kind) : FIRST.length);
  return [...found].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

function draw() {
  if (!axes) return;
  const now = filled();
  chooser.show(axes, now, kinds, sweeps);
  const policy = axes.policies.includes(state.figure) ? state.figure : (now.lr[0] ?? axes.policies[0]);
  efficiency.show(answers, axes.policies, policy, titles());
  const groups = groupsOf(curves);
  const look = looks(groups, titles());
  const stages = curves.map((answer) => new Map(answer.stages.map((stage) => [stage.stage, stage])));
  const parts = [
    ["line", "validation"],
    ["dashed line", "training"],
  ]
    .map(([line, part]) => `${line}: ${part}`)
    .join(" · ");
  const items = groups.map((group) => element("li", {}, sample(look(group)), look(group).name));
  legend.replaceChildren(...items, ...(items.length ? [element("li", { class: "small" }, parts)] : []));
  const linesOfKind = {};
  for (const kind of kinds) {
    const lines = now.curve.includes(kind) ? linesOf(groups, stages, kind, now) : [];
    if (lines.length) linesOfKind[kind] = lines;
  }
  for (const [kind, chart] of charts) {
    if (!linesOfKind[kind]) {
      chart.remove();
      charts.delete(kind);
    }
  }
  for (const [kind, lines] of Object.entries(linesOfKind)) {
    if (!charts.has(kind)) charts.set(kind, new Chart(kind, zoom));
    const chart = charts.get(kind);
    // A chart that is in its place keeps the keyboard's focus.
    if (!chart.node.isConnected) panels.append(chart.node);
    chart.show(lines, look, now, state.zoom[chart.stage] ?? null);
  }
  judge(groups, stages, look, now);
}

// Says whether the means over seeds look healthy; smoothing would hide what they show.
function judge(groups, stages, look, now) {
  const plain = { ...now, smooth: 0, show: "mean" };
  const means = Object.fromEntries(now.curve.map((kind) => [kind, linesOf(groups, stages, kind, plain)]));
  const failed = groups.flatMap((group) => {
    const cells = group.cells.filter((cell) => cell.state === "failed");
    const codes = [...new Set(cells.map((cell) => cell.failure))].join(", ");
    return cells.length
      ? [{ bad: true, text: `${look(group).name}: ${cells.length} of ${group.cells.length} cells failed (${codes})` }]
      : [];
  });
  const all = [...failed, ...findings(means, (line) => look(line.groups[0]).name)];
  const item = ({ bad, text }) =>
    element("li", { class: bad ? "bad" : "good" }, element("b", {}, bad ? "Look: " : "Fine: "), text);
  health.replaceChildren(...(all.length ? all.map(item) : [element("li", {}, "No curve has two values yet.")]));
}

// Zooms all charts of a stage, and keeps the part in the address.
function zoom(stage, range) {
  if (range) state.zoom[stage] = range;
  else delete state.zoom[stage];
  history.replaceState(null, "", `${location.pathname}${write(state)}`);
  for (const chart of charts.values()) if (chart.stage === stage) chart.zoom(range);
}

// A double click shows everything again.
panels.addEventListener("dblclick", (event) => {
  const kind = event.target.closest("[data-kind]")?.dataset.kind;
  if (kind) zoom(charts.get(kind).stage, null);
});

// The page's stream brought a change: the curves may have grown.
document.addEventListener("parts", () => {
  if (again || axes?.isFinal) return;
  again = setTimeout(async () => {
    again = 0;
    if (panels.contains(document.activeElement) && document.querySelector(".panel:hover")) return;
    await load();
    draw();
  }, PAUSE);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

await load();
draw();
document.documentElement.dataset.ready = "compare";
