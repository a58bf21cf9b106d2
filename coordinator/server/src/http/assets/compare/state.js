// The state of the comparison, which is the page's address: a link to it shows the same curves. What is not in the
// address has its default.
"use strict";

const LISTS = ["method", "fraction", "lr", "seed", "curve"];
const SHOWS = ["mean", "seeds"];
const AXES = ["epoch", "step", "images", "seconds"];

// Reads a state from the query of an address. Lists that are not given are null: the page chooses.
export function read(search) {
  const query = new URLSearchParams(search);
  const state = { other: query.get("with"), figure: query.get("figure"), zoom: {} };
  for (const name of LISTS) state[name] = query.has(name) ? query.get(name).split(",").filter(Boolean) : null;
  state.seed = state.seed?.flatMap(seeds) ?? null;
  state.x = AXES.includes(query.get("x")) ? query.get("x") : "epoch";
  state.show = SHOWS.includes(query.get("show")) ? query.get("show") : "mean";
  state.logX = query.get("logx") === "1";
  state.logY = query.get("logy") === "1";
  state.smooth = Math.min(0.99, Math.max(0, Number(query.get("smooth")) || 0));
  for (const part of query.getAll("zoom")) {
    const [, kind, from, to] = /^(\w+):([^:]+):([^:]+)$/.exec(part) ?? [];
    if (kind && Number(from) < Number(to)) state.zoom[kind] = [Number(from), Number(to)];
  }
  return state;
}

// Returns the query of a state's address.
export function write(state) {
  const query = new URLSearchParams();
  for (const name of LISTS) {
    if (state[name]) query.set(name, name === "seed" ? ranges(state.seed) : state[name].join(","));
  }
  if (state.other) query.set("with", state.other);
  if (state.figure) query.set("figure", state.figure);
  if (state.x !== "epoch") query.set("x", state.x);
  if (state.show !== "mean") query.set("show", state.show);
  if (state.logX) query.set("logx", "1");
  if (state.logY) query.set("logy", "1");
  if (state.smooth > 0) query.set("smooth", String(state.smooth));
  for (const [kind, range] of Object.entries(state.zoom)) {
    query.append("zoom", `${kind}:${range.map((end) => Number(end.toPrecision(6))).join(":")}`);
  }
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%2F", "/");
  return text ? `?${text}` : "";
}

// Returns the seeds of `3` or `0-4`, at most a thousand of them.
export function seeds(text) {
  const [, from, to] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(text) ?? [];
  if (from === undefined) return [];
  const count = Math.min(1000, Math.max(0, Number(to ?? from) - Number(from) + 1));
  return Array.from({ length: count }, (_, place) => Number(from) + place);
}

// Returns seeds as text: `0-4,7`.
export function ranges(list) {
  const sorted = [...new Set(list)].sort((a, b) => a - b);
  const parts = [];
  for (const seed of sorted) {
    const last = parts.at(-1);
    if (last && seed === last[1] + 1) last[1] = seed;
    else parts.push([seed, seed]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}
