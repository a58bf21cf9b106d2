// Questions to the read API of the page's own server.
"use strict";

// Returns the answer to a question, or throws an error with the server's message.
export async function ask(path, signal) {
  const answer = await fetch(`/api/v1${path}`, { signal, headers: { Accept: "application/json" } });
  const body = await answer.json().catch(() => null);
  if (answer.ok && body) return body;
  throw new Error(body?.error?.message ?? `the server answers ${answer.status}`);
}

// Returns the path that asks for the curves of the chosen cells.
export function curvesPath(sweep, choice, x, series) {
  const query = new URLSearchParams({ x, points: "400" });
  for (const name of ["method", "fraction", "lr", "seed"]) {
    for (const value of choice[name]) query.append(name, value);
  }
  for (const name of series) query.append("series", name);
  return `/sweeps/${sweep}/curves?${query}`;
}

// Returns the kinds of curves that stages have, such as `pretext/loss`, from the names of their series.
export function kindsOf(answers) {
  const kinds = new Set();
  for (const answer of answers) {
    for (const stage of answer.stages) {
      for (const name of stage.has) {
        const [kind, , metric] = name.split("/");
        kinds.add(`${kind}/${metric}`);
      }
    }
  }
  return [...kinds];
}
