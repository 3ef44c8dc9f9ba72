// A click on an area, while areas are what the map shows, tells its figures.
import { el } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { t, tn } from "../lib/page.js";
import { openPopup } from "./reports.js";

/** Makes the areas of `city` answer clicks; `isBusy()` says when clicks are for something else. */
export function setUpAreaPopups(city, isBusy) {
  const { map } = city;
  map.on("click", "land", ({ lngLat, features }) => {
    if (city.layer !== "areas" || isBusy()) return;
    const { zone_id: id, name, open = 0, overdue = 0, breached = 0 } = features[0].properties;
    const late = overdue + breached;
    const lines = [tn("map.zone.open", open), late > 0 ? t("areas.late", { count: number(late) }) : null].filter(Boolean);
    city.select(id);
    openPopup(map, lngLat, el("h3", {}, name), el("p", { class: "cp-muted" }, lines.join(" · ")));
  });
}
