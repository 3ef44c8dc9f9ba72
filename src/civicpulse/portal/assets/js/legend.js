// What the colours on the map mean.
import { colourOf } from "./lib/buckets.js";
import { $, el } from "./lib/dom.js";
import { number } from "./lib/format.js";
import { t } from "./lib/page.js";

const row = (mark, text) => el("span", { class: "cp-legend-row" }, el("span", { class: mark, "aria-hidden": "true" }), text);

function ranges(city) {
  const ends = city.ends ?? [];
  return ends.map((end, index) => {
    const from = index === 0 ? 1 : ends[index - 1] + 1;
    const text = from >= end ? number(end) : `${number(from)}–${number(end)}`;
    return el("span", { class: "cp-legend-step" }, el("span", { class: `cp-swatch cp-area-${colourOf(index, ends)}`, "aria-hidden": "true" }), text);
  });
}

const legends = {
  reports: () => [row("cp-mark-group", t("legend.group")), row("cp-mark-single", t("legend.single")), row("cp-mark-urgent", t("legend.urgent"))],
  heat: () => [
    el("span", { class: "cp-legend-title" }, t("legend.heat")),
    el("span", { class: "cp-legend-ramp" }, t("legend.less"), el("span", { class: "cp-ramp", "aria-hidden": "true" }), t("legend.more")),
  ],
  areas: (city) => [el("span", { class: "cp-legend-title" }, t("legend.areas")), el("span", { class: "cp-legend-steps" }, ...ranges(city))],
};

/** Shows the legend of `layer`; says nothing when it has not changed. */
export function showLegend(layer, city) {
  const legend = el("div", {}, ...legends[layer](city));
  if ($("legend").firstElementChild?.isEqualNode(legend)) return;
  $("legend").replaceChildren(legend);
}
