// The areas as a list: the map's figures for those who read rather than look.
import { $, el } from "./lib/dom.js";
import { number } from "./lib/format.js";
import { boundsOf } from "./lib/geo.js";
import { t, tn } from "./lib/page.js";

const FEW = 7;
let isWhole = false;

function item({ properties, geometry }, maximum, city) {
  const open = properties.open ?? 0;
  const overdue = (properties.overdue ?? 0) + (properties.breached ?? 0);
  const bar = el("span", { class: "cp-bar", "aria-hidden": "true" }, el("span", { class: "cp-bar-late" }), el("span", { class: "cp-bar-open" }));
  bar.style.setProperty("--late", String(overdue / maximum));
  bar.style.setProperty("--open", String(Math.max(0, open - overdue) / maximum));
  const button = el(
    "button",
    { type: "button", class: "cp-area", "data-zone": properties.zone_id },
    el("span", { class: "cp-area-name" }, properties.name),
    el("span", { class: "cp-area-count", "aria-label": tn("map.zone.open", open) }, number(open)),
    bar,
    overdue > 0 ? el("span", { class: "cp-area-late" }, t("areas.late", { count: number(overdue) })) : null,
  );
  button.addEventListener("click", () => {
    city?.select(properties.zone_id);
    city?.fit(boundsOf([geometry]));
    if (matchMedia("(max-width: 767px)").matches) scrollTo({ top: 0, behavior: "smooth" });
  });
  return el("li", {}, button);
}

/** Fills the list from the areas feed, most open reports first. */
export function showAreas(zones, city) {
  const sorted = zones.features
    .filter(({ geometry }) => geometry)
    .sort((a, b) => (b.properties.open ?? 0) - (a.properties.open ?? 0) || a.properties.name.localeCompare(b.properties.name));
  const maximum = Math.max(1, sorted[0]?.properties.open ?? 0);
  const shown = isWhole ? sorted : sorted.slice(0, FEW);
  const focused = document.activeElement?.dataset?.zone;
  $("area-list").replaceChildren(...shown.map((feature) => item(feature, maximum, city)));
  if (focused) $("area-list").querySelector(`[data-zone="${CSS.escape(focused)}"]`)?.focus();
  if (!sorted.length) $("area-list").replaceChildren(el("li", { class: "cp-muted" }, t("areas.none")));
  const more = $("area-more");
  more.hidden = sorted.length <= FEW;
  more.textContent = isWhole ? t("areas.less") : t("areas.more", { count: number(sorted.length) });
  more.onclick = () => {
    isWhole = !isWhole;
    showAreas(zones, city);
  };
}
