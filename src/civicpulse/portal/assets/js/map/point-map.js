// A small still map with one pin.
import { Marker } from "maplibre-gl";
import { el } from "../lib/dom.js";
import { page, t } from "../lib/page.js";
import { CityMap } from "./city-map.js";

/** Draws the areas around `point` and a dot on it; `zone` is outlined. */
export async function showPoint(container, point, zones, zone) {
  if (container.dataset.state) return;
  container.dataset.state = "loading";
  container.setAttribute("role", "img");
  container.setAttribute("aria-label", t("track.map"));
  const city = new CityMap(container, { interactive: false });
  await city.loaded;
  city.unnamed = zone?.properties.zone_id; // its name is told beside the map, where the dot does not cover it
  city.setZones(zones);
  city.select(zone?.properties.zone_id);
  city.map.jumpTo({ center: point, zoom: page.tiles ? 14.5 : 12 });
  new Marker({ element: el("span", { class: "cp-dot" }) }).setLngLat(point).addTo(city.map);
  container.dataset.state = "ready";
}
