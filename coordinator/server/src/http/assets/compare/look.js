// Colours, dashes and names of lines. The colour says the method, or what else differs if there is one method.
"use strict";

const DASHES = [[], [8, 4], [2, 3], [12, 3, 2, 3], [5, 2, 1, 2]];

// Returns the value of a CSS variable of the page, for drawing on a canvas.
export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Returns a function that gives each group its look: { color, dash, name }.
export function looks(groups, titles) {
  const differing = ["method", "fraction", "lr"].filter(
    (axis) => new Set(groups.map((group) => group[axis])).size > 1,
  );
  const sweeps = new Set(groups.map((group) => group.sweep)).size > 1;
  const first = differing[0] ?? "method";
  const rest = differing.slice(1);
  const values = (axes) => [...new Set(groups.map((group) => axes.map((axis) => group[axis]).join("|")))];
  const [firsts, rests] = [values([first]), values(rest)];
  const known = new Map();
  const made = (group) => {
    const place = firsts.indexOf(String(group[first]));
    const color =
      first === "method" ? ink(`curve-${group.method}`) || ink(`curve-${place % 7}`) : ink(`curve-${place % 7}`);
    const second =
      rests.indexOf(rest.map((axis) => group[axis]).join("|")) + (group.side ? Math.max(1, rests.length) : 0);
    const words = (differing.length ? differing : ["method"]).map((axis) => word(axis, group, titles));
    if (sweeps) words.push(`in ${group.sweep}`);
    return { color, dash: DASHES[second % DASHES.length], name: words.join(", ") };
  };
  return (group) => {
    if (!known.has(group.key)) known.set(group.key, made(group));
    return known.get(group.key);
  };
}

function word(axis, group, titles) {
  if (axis === "method") return titles.get(group.method) ?? group.method;
  return axis === "fraction" ? percent(group.fraction) : group.lr;
}

// Returns a label fraction in percent.
export function percent(fraction) {
  return `${Number((fraction * 100).toPrecision(6))} %`;
}

// Formats a value so that small differences show.
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

// Returns a sample of a line for a legend.
export function sample({ color, dash }) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "line");
  for (const [name, value] of [
    ["width", 28],
    ["height", 10],
    ["aria-hidden", "true"],
  ])
    svg.setAttribute(name, value);
  const look = {
    x1: 1,
    x2: 27,
    y1: 5,
    y2: 5,
    stroke: color,
    "stroke-width": 2.5,
    "stroke-dasharray": dash.join(" "),
  };
  for (const [name, value] of Object.entries(look)) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

// Returns an element with attributes and content.
export function element(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...content.filter((one) => one !== null));
  return made;
}
