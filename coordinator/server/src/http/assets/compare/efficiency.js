// The label-efficiency figure: mean test accuracy against label fraction, one line for each method, with the 95 %
// t-interval over seeds.
"use strict";

import { element, ink, percent, sample } from "./look.js";

const HEIGHT = 290;
// Distance between the marks of methods at one fraction, in CSS pixels, so that intervals do not hide each other.
const APART = 7;

const shown = (value) => `${(100 * value).toFixed(2)}`;

// The figure. `onPolicy(name)` is told when a person chooses another policy.
export class Efficiency {
  constructor(onPolicy) {
    this.choice = element("select", { id: "figure-policy", "aria-label": "Learning-rate policy of the figure" });
    this.choice.addEventListener("change", () => onPolicy(this.choice.value));
    this.canvas = element("div", { class: "plot" });
    this.readout = element("p", { class: "readout", "aria-live": "polite" });
    this.legend = element("ul", { class: "legend" });
    const title = element("h2", {}, "Test accuracy by label fraction, policy ", this.choice);
    const frame = { class: "panel efficiency", tabindex: "0", role: "group" };
    const label = "Test accuracy by label fraction. Arrow keys read the values of a fraction.";
    this.node = element("div", { ...frame, "aria-label": label }, title, this.canvas, this.legend, this.readout);
    this.node.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => {
      const width = Math.floor(this.canvas.clientWidth);
      if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
    }).observe(this.canvas);
  }

  // Draws the answers of one or two sweeps for a policy.
  show(answers, policies, policy, titles) {
    this.choice.replaceChildren(
      ...policies.map((name) => element("option", { value: name, selected: name === policy }, name)),
    );
    const entries = answers.flatMap((answer, side) =>
      answer.entries.map((entry) => ({ ...entry, side, sweep: answer.sweep })),
    );
    const here = entries.filter((entry) => entry.lr === policy);
    this.fractions = [...new Set(here.map((entry) => entry.fraction))].sort((a, b) => a - b);
    const lines = new Map();
    for (const entry of here) {
      const key = `${entry.side}|${entry.method}`;
      if (!lines.has(key))
        lines.set(key, { method: entry.method, side: entry.side, sweep: entry.sweep, at: new Map() });
      lines.get(key).at.set(entry.fraction, entry);
    }
    this.lines = [...lines.values()].map((line) => ({
      ...line,
      color: ink(`curve-${line.method}`) || ink("curve-0"),
      dash: line.side ? [6, 4] : [],
      name: `${titles.get(line.method) ?? line.method}${line.side ? ` in ${line.sweep}` : ""}`,
    }));
    const items = this.lines.map((line) => element("li", {}, sample(line), line.name));
    this.legend.replaceChildren(...items);
    this.plot?.destroy();
    const column = (line) => this.fractions.map((fraction) => line.at.get(fraction)?.accuracy?.mean ?? null);
    const data = [this.fractions.map((_, place) => place), ...this.lines.map(column)];
    this.plot = new uPlot(this.options(), data, this.canvas);
    this.readout.textContent = data
      .slice(1)
      .flat()
      .some((value) => value !== null)
      ? ""
      : "No cell has a result yet.";
  }

  options() {
    const axis = {
      stroke: ink("muted"),
      grid: { stroke: ink("chart-grid"), width: 1 },
      ticks: { stroke: ink("chart-grid") },
    };
    const font = "11px system-ui, sans-serif";
    const ends = () => {
      const all = this.lines.flatMap((line) => [...line.at.values()]).filter((entry) => entry.accuracy);
      const low = Math.min(...all.map((entry) => entry.accuracy.mean - (entry.accuracy.ci95 ?? 0)));
      const high = Math.max(...all.map((entry) => entry.accuracy.mean + (entry.accuracy.ci95 ?? 0)));
      if (!all.length) return [0, 1];
      const room = Math.max(0.01, (high - low) * 0.08);
      return [Math.max(0, low - room), Math.min(1, high + room)];
    };
    return {
      width: Math.max(200, Math.floor(this.canvas.clientWidth) || 480),
      height: HEIGHT,
      legend: { show: false },
      // The hook draws the lines, with intervals.
      series: [{}, ...this.lines.map(() => ({ paths: () => null, points: { show: false } }))],
      scales: { x: { time: false, range: () => [-0.4, this.fractions.length - 0.6] }, y: { range: ends } },
      axes: [
        {
          ...axis,
          font,
          splits: () => this.fractions.map((_, place) => place),
          values: (_, places) => places.map((place) => percent(this.fractions[place])),
          size: 30,
        },
        {
          ...axis,
          font,
          size: 48,
          values: (_, values) => values.map((value) => `${Number((100 * value).toFixed(1))} %`),
        },
      ],
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
      hooks: { draw: [(plot) => this.draw(plot)], setCursor: [(plot) => this.read(plot)] },
    };
  }

  draw(plot) {
    const { ctx } = plot;
    const scale = devicePixelRatio;
    this.lines.forEach((line, index) => {
      const aside = (index - (this.lines.length - 1) / 2) * APART * scale;
      const marks = this.fractions.flatMap((fraction, place) => {
        const accuracy = line.at.get(fraction)?.accuracy;
        if (!accuracy) return [];
        const y = (value) => plot.valToPos(value, "y", true);
        const half = accuracy.ci95 ?? 0;
        return [
          {
            x: plot.valToPos(place, "x", true) + aside,
            y: y(accuracy.mean),
            low: y(accuracy.mean - half),
            high: y(accuracy.mean + half),
          },
        ];
      });
      ctx.save();
      Object.assign(ctx, { strokeStyle: line.color, fillStyle: line.color, lineWidth: 2 * scale });
      ctx.setLineDash(line.dash.map((dash) => dash * scale));
      ctx.beginPath();
      marks.forEach(({ x, y }, place) => (place ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
      ctx.stroke();
      ctx.setLineDash([]);
      for (const { x, y, low, high } of marks) {
        ctx.beginPath();
        ctx.moveTo(x, low);
        ctx.lineTo(x, high);
        ctx.stroke();
        ctx.beginPath();
        ctx.arc(x, y, 4 * scale, 0, 2 * Math.PI);
        ctx.fill();
      }
      ctx.restore();
    });
  }

  read(plot) {
    const place = plot.cursor.idx;
    if (place === null || place === undefined) return;
    const fraction = this.fractions[place];
    const found = this.lines.filter((line) => line.at.get(fraction)?.accuracy);
    found.sort((a, b) => b.at.get(fraction).accuracy.mean - a.at.get(fraction).accuracy.mean);
    const items = found.map((line) => {
      const { accuracy, n, cells } = line.at.get(fraction);
      const half = accuracy.ci95 === null ? "" : ` ± ${shown(accuracy.ci95)}`;
      return element(
        "span",
        { class: "value" },
        sample(line),
        `${line.name} ${shown(accuracy.mean)}${half} % (${n} of ${cells})`,
      );
    });
    this.readout.replaceChildren(
      `${percent(fraction)} of the labels: `,
      ...(items.length ? items : ["no result yet"]),
    );
  }

  key(event) {
    if (event.target !== this.node || !this.plot || !this.fractions.length) return;
    const last = this.fractions.length - 1;
    const now = this.plot.cursor.idx ?? -1;
    const places = {
      ArrowRight: Math.min(last, now + 1),
      ArrowLeft: now < 0 ? last : Math.max(0, now - 1),
      Home: 0,
      End: last,
    };
    if (!(event.key in places)) return;
    this.plot.setCursor({ left: this.plot.valToPos(places[event.key], "x"), top: 10 });
    event.preventDefault();
  }
}
