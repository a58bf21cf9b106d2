// The list of a sweep's cells: filtered by the form, whose state is in the address, and coloured by accuracy.
"use strict";

import { ask } from "../compare/data.js";
import { element, percent } from "../compare/look.js";
import { Stream } from "./stream.js";
import { Table } from "./table.js";

const STATES = ["succeeded", "failed", "running", "pending", "cancelled"];
const ORDERS = [
  ["", "plan"],
  ["best", "best first"],
  ["worst", "worst first"],
];

const root = document.getElementById("cells");
const sweep = root.dataset.sweep;
const query = new URLSearchParams(location.search);
const says = element("p", { class: "small", role: "status" });
const form = element("form", { class: "choose", "aria-label": "Filter of the cells" });
const table = new Table(sweep);
let stream = null;

form.addEventListener("submit", (event) => event.preventDefault());

function select(name, title, values) {
  const options = values.map(([value, text]) =>
    element("option", { value, selected: query.get(name) === value }, text),
  );
  const made = element("select", { id: `filter-${name}` }, ...options);
  made.addEventListener("change", () => filter(name, made.value));
  return element("label", { for: `filter-${name}` }, `${title} `, made);
}

function filter(name, value) {
  if (value) query.set(name, value);
  else query.delete(name);
  query.delete("offset");
  const text = query.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}`);
  show();
}

// Returns the cells that the filter chooses, in the chosen order.
function chosen(cells) {
  const wanted = (name) => query.get(name) ?? "";
  const [method, fraction, lr, state, seed] = ["method", "fraction", "lr", "state", "seed"].map(wanted);
  const kept = cells.filter(
    (cell) =>
      (!method || cell.method === method) &&
      (!fraction || cell.fraction === Number(fraction)) &&
      (!lr || cell.lr === lr) &&
      (!state || cell.state === state) &&
      (!seed || String(cell.seed) === seed),
  );
  const sign = { best: -1, worst: 1 }[wanted("order")];
  if (!sign) return kept;
  const value = (cell) => cell.accuracy ?? (sign < 0 ? -1 : 2);
  return kept.sort((a, b) => sign * (value(a) - value(b)) || a.place - b.place);
}

function show() {
  const begun = performance.now();
  const rows = chosen(stream.cells);
  const accuracies = rows.flatMap((cell) => (cell.accuracy === null ? [] : [cell.accuracy]));
  const range = accuracies.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [1, 0]);
  table.show(rows, range);
  const colours = accuracies.length
    ? `; colours from ${(100 * range[0]).toFixed(2)} to ${(100 * range[1]).toFixed(2)} %`
    : "";
  says.textContent = `${rows.length} of ${stream.cells.length} cells${colours}`;
  root.dataset.took = String(performance.now() - begun);
}

const axes = await ask(`/sweeps/${sweep}`);
const any = ["", "all"];
const seed = element("input", {
  id: "filter-seed",
  type: "text",
  inputmode: "numeric",
  size: 6,
  value: query.get("seed") ?? "",
});
seed.addEventListener("input", () => filter("seed", seed.value.trim()));
form.append(
  select("method", "Method", [any, ...axes.methods.map(({ method, title }) => [method, title])]),
  select("fraction", "Labels", [any, ...axes.fractions.map((fraction) => [String(fraction), percent(fraction)])]),
  select("lr", "Policy", [any, ...axes.policies.map((name) => [name, name])]),
  select("state", "State", [any, ...STATES.map((state) => [state, state])]),
  element("label", { for: "filter-seed" }, "Seed ", seed),
  select("order", "Order", ORDERS),
);
root.replaceChildren(form, says, table.node);
stream = new Stream(sweep, new Map(axes.methods.map(({ method, title }) => [method, title])), () => {
  show();
  root.dataset.events = String(stream.events);
  root.dataset.bytes = String(stream.bytes);
});
document.documentElement.dataset.ready = "cells";
