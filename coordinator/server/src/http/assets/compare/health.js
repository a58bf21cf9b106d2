// Whether the shown curves look healthy, in sentences: what a person would look for in them.
"use strict";

import { number } from "./look.js";

// A loss that fell by less than this share has not fallen.
const FLAT = 0.02;
// An accuracy of neighbours below this share of its best has fallen.
const FALLEN = 0.8;
// A validation loss above its lowest by this share has risen.
const RISEN = 0.1;

const last = (line) => line.y[line.y.length - 1];

// Returns findings { bad, text }, worst first, about lines by kind: { "pretext/loss": [lines] }.
export function findings(linesOfKind, name) {
  const found = [];
  for (const [kind, lines] of Object.entries(linesOfKind)) {
    const [stage, metric] = kind.split("/");
    for (const line of lines) {
      if (line.y.length < 2) continue;
      const about = (text, bad) => found.push({ bad, text: `${name(line)}: ${stage} ${text}` });
      if (metric === "loss" && line.part === "train") training(line, about);
      if (metric === "loss" && line.part === "validation" && stage === "downstream") validation(line, about);
      if (metric === "knn-accuracy") neighbours(line, about);
    }
  }
  return found.sort((a, b) => Number(b.bad) - Number(a.bad));
}

function training(line, about) {
  const [from, to] = [line.y[0], last(line)];
  if (to > from * (1 - FLAT)) about(`training loss did not fall (${number(from)} to ${number(to)})`, true);
  else about(`training loss fell from ${number(from)} to ${number(to)}`, false);
}

function validation(line, about) {
  const lowest = Math.min(...line.y);
  const rise = last(line) / lowest - 1;
  const at = number(line.x[line.y.indexOf(lowest)]);
  if (rise > RISEN)
    about(`validation loss rose by ${Math.round(100 * rise)} % after its lowest value at ${at}: it over-fits`, true);
  else about(`validation loss is lowest at ${at} (${number(lowest)})`, false);
}

function neighbours(line, about) {
  const best = Math.max(...line.y);
  const to = last(line);
  if (to < best * FALLEN)
    about(`k-NN accuracy fell from ${number(best)} to ${number(to)}: features may have collapsed`, true);
  else about(`k-NN accuracy went from ${number(line.y[0])} to ${number(to)}`, false);
}
