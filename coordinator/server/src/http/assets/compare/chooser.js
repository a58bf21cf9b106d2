// The form that chooses cells and how their curves are drawn.
"use strict";

import { titleOf } from "./chart.js";
import { element, percent } from "./look.js";
import { ranges, seeds } from "./state.js";

// Up to so many seeds have a box each; more are written as ranges.
const BOXES = 12;

// The form. `onChange(change)` is told the changed fields of the state.
export class Chooser {
  constructor(onChange) {
    this.onChange = onChange;
    this.node = element("form", { class: "choose", "aria-label": "Curves to show" });
    this.node.addEventListener("submit", (event) => event.preventDefault());
  }

  // Builds the form for these axes, kinds of curves and sweeps. A field that has the focus keeps it.
  show(axes, state, kinds, sweeps) {
    const focus = document.activeElement?.id;
    const methods = axes.methods.map(({ method, title }) => [method, title]);
    const fractions = axes.fractions.map((fraction) => [String(fraction), percent(fraction)]);
    this.node.replaceChildren(
      this.boxes("method", "Methods", methods, state),
      this.boxes("fraction", "Labels", fractions, state),
      this.boxes(
        "lr",
        "Policies",
        axes.policies.map((name) => [name, name]),
        state,
      ),
      axes.seeds.length > BOXES
        ? this.written(state)
        : this.boxes(
            "seed",
            "Seeds",
            axes.seeds.map((seed) => [String(seed), String(seed)]),
            state,
          ),
      this.boxes(
        "curve",
        "Curves",
        kinds.map((kind) => [kind, titleOf(kind)]),
        state,
      ),
      this.drawing(state, sweeps),
    );
    if (focus) this.node.querySelector(`#${CSS.escape(focus)}`)?.focus();
  }

  boxes(field, title, values, state) {
    const group = element("fieldset", {}, element("legend", {}, title));
    for (const [value, text] of values) {
      const id = `${field}-${value}`;
      const chosen = state[field].map(String).includes(value);
      const box = element("input", { type: "checkbox", id, value, checked: chosen });
      box.addEventListener("change", () => {
        const checked = [...group.querySelectorAll("input:checked")].map((one) => one.value);
        this.onChange({ [field]: field === "seed" ? checked.map(Number) : checked });
      });
      group.append(element("label", { for: id }, box, text));
    }
    return group;
  }

  written(state) {
    const input = element("input", { id: "seed-ranges", type: "text", value: ranges(state.seed), size: 10 });
    input.addEventListener("change", () => this.onChange({ seed: input.value.split(",").flatMap(seeds) }));
    const hint = element("label", { for: "seed-ranges" }, "such as 0-4,7 ", input);
    return element("fieldset", {}, element("legend", {}, "Seeds"), hint);
  }

  drawing(state, sweeps) {
    const group = element("fieldset", { class: "drawing" }, element("legend", {}, "Drawing"));
    const axes = [
      ["epoch", "epochs"],
      ["step", "steps"],
      ["images", "images"],
      ["seconds", "wall time"],
    ];
    const shows = [
      ["mean", "mean and band over seeds"],
      ["seeds", "every seed"],
    ];
    const others = [["", "none"], ...sweeps.map((name) => [name, name])];
    const smooth = element("input", {
      id: "smooth",
      type: "range",
      min: 0,
      max: 0.95,
      step: 0.05,
      value: state.smooth,
    });
    smooth.addEventListener("change", () => this.onChange({ smooth: Number(smooth.value) }));
    group.append(
      this.select("x", "Over", axes, state.x, (x) => ({ x, zoom: {} })),
      this.select("show", "Show", shows, state.show, (show) => ({ show })),
      this.tick("logX", "log x", state),
      this.tick("logY", "log y", state),
      element("label", { for: "smooth" }, "Smoothing ", smooth),
      this.select("with", "Against", others, state.other ?? "", (other) => ({ other: other || null })),
    );
    return group;
  }

  select(id, title, values, chosen, change) {
    const options = values.map(([value, text]) => element("option", { value, selected: value === chosen }, text));
    const select = element("select", { id }, ...options);
    select.addEventListener("change", () => this.onChange(change(select.value)));
    return element("label", { for: id }, `${title} `, select);
  }

  tick(field, title, state) {
    const box = element("input", { type: "checkbox", id: field, checked: state[field] });
    box.addEventListener("change", () => this.onChange({ [field]: box.checked }));
    return element("label", { for: field }, box, title);
  }
}
