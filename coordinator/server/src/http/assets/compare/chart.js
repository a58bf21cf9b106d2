// A chart of lines over each other: hover or arrow keys show values, a drag or + and - zoom, a double click or Escape
// shows everything again.
"use strict";

import { aligned } from "./lines.js";
import { element, ink, number, sample } from "./look.js";

const HEIGHT = 250;
// Most values in a readout: the nearest lines come first.
const READ = 8;
const UNITS = { epoch: "epoch", step: "step", images: "images", seconds: "seconds of training" };
const HELP = "Arrow keys read values, plus and minus zoom, Escape shows everything.";

export function titleOf(kind) {
  const [stage, metric] = kind.split("/");
  return `${stage[0].toUpperCase()}${stage.slice(1)} ${metric.replaceAll("-", " ")}`;
}

// A panel of the page. `onZoom(stage, range)` is told when a person zooms; null is everything.
export class Chart {
  constructor(kind, onZoom) {
    this.kind = kind;
    this.stage = kind.split("/")[0];
    this.onZoom = onZoom;
    this.canvas = element("div", { class: "plot" });
    this.readout = element("p", { class: "readout", "aria-live": "polite" });
    this.title = element("h3", {}, titleOf(kind));
    const frame = { class: "panel", tabindex: "0", role: "group", "aria-label": `${titleOf(kind)}. ${HELP}` };
    this.node = element("div", { ...frame, "data-kind": kind }, this.title, this.canvas, this.readout);
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.canvas);
  }

  remove() {
    this.resized.disconnect();
    this.plot?.destroy();
    this.node.remove();
  }

  fit() {
    const width = Math.floor(this.canvas.clientWidth);
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  // Draws the lines anew. `range` is the shown part of the x axis, or null for all of it.
  show(lines, look, state, range) {
    this.plot?.destroy();
    this.lines = lines;
    this.shown = lines.map((line) => ({ ...look(line.groups[0]), part: line.part, line }));
    const { xs, columns } = aligned(lines, state.logX);
    const data = [xs];
    const series = [{}];
    const bands = [];
    columns.forEach((column, index) => {
      const { color, dash, part } = this.shown[index];
      // Training is thin and dashed, as in reports.
      const train = part === "train";
      const style = { stroke: color, spanGaps: true, points: { show: xs.length === 1 } };
      series.push({ ...style, width: train ? 1.2 : 2, dash: train ? [4, 4] : dash, alpha: train ? 0.75 : 1 });
      data.push(positive(column.y, state.logY));
      // Where validation has a band, that of training would only hide it.
      const isBehind =
        train && this.shown.some((one) => one.part !== part && one.line.groups[0] === lines[index].groups[0]);
      if (!isBehind && column.spread.some((spread) => spread !== null)) {
        const at = data.length;
        for (const sign of [1, -1]) {
          data.push(
            positive(
              column.y.map((y, x) => edge(y, column.spread[x], sign)),
              state.logY,
            ),
          );
          series.push({ ...style, stroke: "transparent", width: 0 });
        }
        bands.push({ series: [at, at + 1], fill: faint(color) });
      }
    });
    // The columns of lines, without those of bands.
    this.columns = [];
    for (let column = 1; column < data.length; column += 1) {
      if (series[column].width > 0) this.columns.push(column);
    }
    this.state = state;
    this.plot = new uPlot(this.options(series, bands, state, range), data, this.canvas);
    this.readout.textContent = "";
  }

  options(series, bands, state, range) {
    const axis = {
      stroke: ink("muted"),
      grid: { stroke: ink("chart-grid"), width: 1 },
      ticks: { stroke: ink("chart-grid") },
    };
    const font = "11px system-ui, sans-serif";
    return {
      width: Math.max(200, Math.floor(this.canvas.clientWidth) || 420),
      height: HEIGHT,
      legend: { show: false },
      series,
      bands,
      scales: {
        x: { time: false, distr: state.logX ? 3 : 1, ...(range ? { min: range[0], max: range[1] } : {}) },
        y: { distr: state.logY ? 3 : 1 },
      },
      axes: [
        { ...axis, font, label: UNITS[state.x], labelFont: font, labelSize: 16, size: 34, values: short },
        { ...axis, font, size: 54, values: short },
      ],
      cursor: {
        drag: { x: true, y: false, dist: 6 },
        focus: { prox: 24 },
        dataIdx: (plot, column, index) => nearest(plot.data, column, index),
        points: { size: 6 },
      },
      focus: { alpha: 0.35 },
      hooks: {
        setCursor: [(plot) => this.read(plot)],
        setSelect: [(plot) => this.zoomed(plot)],
        setScale: [(plot, axis) => axis === "x" && this.noted(plot)],
      },
    };
  }

  // The shown part of the x axis, for tests and for programs that assist.
  noted(plot) {
    const { min, max } = plot.scales.x;
    this.node.dataset.from = String(min);
    this.node.dataset.to = String(max);
  }

  // A drag has ended: the others are told.
  zoomed(plot) {
    if (plot.select.width < 6) return;
    const [from, to] = [plot.select.left, plot.select.left + plot.select.width].map((left) =>
      plot.posToVal(left, "x"),
    );
    this.onZoom(this.stage, [from, to]);
  }

  // Shows a part of the x axis, or everything.
  zoom(range) {
    if (!this.plot) return;
    const xs = this.plot.data[0];
    const [min, max] = range ?? [xs[0], xs[xs.length - 1]];
    this.plot.setScale("x", { min, max });
  }

  read(plot) {
    const { idx, top } = plot.cursor;
    if (idx === null || idx === undefined) {
      this.readout.textContent = "";
      return;
    }
    const values = this.columns.map((column, index) => {
      const at = nearest(plot.data, column, idx);
      const value = at === null ? null : plot.data[column][at];
      return { value, column, ...this.shown[index] };
    });
    const there = values.filter((one) => one.value !== null && one.value !== undefined);
    const distance = (one) => Math.abs(plot.valToPos(one.value, "y") - top);
    there.sort((a, b) => distance(a) - distance(b));
    const items = there.slice(0, READ).map((one) => {
      const { line } = one;
      const spread = line.spread ? spreadAt(line, plot.data[0][idx]) : null;
      const words = `${this.name(one)} ${number(one.value)}${spread === null ? "" : ` ± ${number(spread)}`}`;
      return element("span", { class: "value" }, sample(one), words);
    });
    const more = there.length > READ ? ` and ${there.length - READ} more` : "";
    this.readout.replaceChildren(`${UNITS[this.state.x]} ${number(plot.data[0][idx])}: `, ...items, more);
  }

  name({ name, part, line }) {
    const seeds = line.groups[0].cells.filter((cell) => [cell.pretext, cell.downstream].includes(line.id));
    const seed =
      this.state.show === "seeds" && seeds.length ? `, seed ${seeds.map((cell) => cell.seed).join("/")}` : "";
    return `${name}${seed}, ${part}`;
  }

  key(event) {
    const plot = this.plot;
    if (!plot || event.ctrlKey || event.altKey || event.metaKey) return;
    const xs = plot.data[0];
    const { min, max } = plot.scales.x;
    const inside = xs.map((x, index) => (x >= min && x <= max ? index : -1)).filter((index) => index >= 0);
    const last = inside.length - 1;
    if (last < 0) return;
    const now = inside.indexOf(plot.cursor.idx ?? -1);
    const step = event.shiftKey ? 10 : 1;
    const around = xs[inside[Math.max(0, now)]];
    const half = (max - min) / 2;
    switch (event.key) {
      case "ArrowRight":
        this.point(inside[now < 0 ? 0 : Math.min(last, now + step)]);
        break;
      case "ArrowLeft":
        this.point(inside[now < 0 ? last : Math.max(0, now - step)]);
        break;
      case "Home":
        this.point(inside[0]);
        break;
      case "End":
        this.point(inside[last]);
        break;
      case "+":
      case "=":
        this.onZoom(this.stage, [Math.max(xs[0], around - half / 2), Math.min(xs[xs.length - 1], around + half / 2)]);
        break;
      case "-":
        this.widen(min - half, max + half);
        break;
      case "Escape":
      case "0":
        this.onZoom(this.stage, null);
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  // Shows more, and everything once nothing is left out.
  widen(from, to) {
    const xs = this.plot.data[0];
    const all = from <= xs[0] && to >= xs[xs.length - 1];
    this.onZoom(this.stage, all ? null : [Math.max(xs[0], from), Math.min(xs[xs.length - 1], to)]);
  }

  point(index) {
    const plot = this.plot;
    const value = this.columns
      .map((column) => plot.data[column][nearest(plot.data, column, index)])
      .find((y) => y != null);
    plot.setCursor({ left: plot.valToPos(plot.data[0][index], "x"), top: plot.valToPos(value ?? 0, "y") });
  }
}

function edge(y, spread, sign) {
  return y === null || spread === null ? null : y + sign * spread;
}

// A logarithmic axis has no place for zero and below.
function positive(values, log) {
  return log ? values.map((value) => (value !== null && value > 0 ? value : null)) : values;
}

// Returns a colour with little opacity.
function faint(color) {
  return /^#[0-9a-f]{6}$/i.test(color) ? `${color}2b` : "rgba(128,128,128,.15)";
}

function short(_, values) {
  return values.map((value) => (value === null ? "" : number(value)));
}

// Returns the place of the value that is nearest to `index` in a column, not farther than its neighbours on the line.
function nearest(data, column, index) {
  const values = data[column];
  if (index === null || index === undefined) return null;
  if (values[index] !== null && values[index] !== undefined) return index;
  for (let away = 1; away < values.length; away += 1) {
    for (const at of [index - away, index + away]) {
      if (values[at] !== null && values[at] !== undefined) return at;
    }
  }
  return null;
}

function spreadAt(line, x) {
  let best = null;
  line.x.forEach((at, index) => {
    if (best === null || Math.abs(at - x) < Math.abs(line.x[best] - x)) best = index;
  });
  return best === null ? null : line.spread[best];
}
