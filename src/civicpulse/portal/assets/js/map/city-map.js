// The map of a city: its areas as land, themes, the three things it can show.
import { AttributionControl, Map as MapLibreMap, ScaleControl, setWorkerUrl } from "maplibre-gl";
import { bucketEnds, colourFor } from "../lib/buckets.js";
import { boundsOf, holds, labelPoint } from "../lib/geo.js";
import { page, t } from "../lib/page.js";
import { empty, grid, mapStyle, palette, paints } from "./style.js";

setWorkerUrl(new URL(page.worker, location.origin).href);

export class CityMap {
  constructor(container, { interactive = true, padding = () => 40 } = {}) {
    this.layer = "reports";
    this.interactive = interactive;
    this.padding = padding;
    this.zones = empty;
    this.points = empty;
    this.labelsFrom = 0;
    this.map = new MapLibreMap({
      container, interactive, style: mapStyle(this.layer), center: [0, 20], zoom: 1.2, maxZoom: 19, minZoom: 1,
      attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false, renderWorldCopies: false,
      fadeDuration: 120, locale: { "Map.Title": t("map.title") },
    });
    this.map.touchZoomRotate?.disableRotation();
    this.map.keyboard?.disableRotation();
    const corner = matchMedia("(max-width: 767px)").matches ? "bottom-left" : "bottom-right";
    if (interactive) this.map.addControl(new ScaleControl({ maxWidth: 110 }), corner);
    if (page.tiles) this.map.addControl(new AttributionControl({ compact: true }), "bottom-right");
    this.loaded = new Promise((resolve) => this.map.once("load", resolve));
    this.map.on("moveend", () => this.#drawGrid());
    document.addEventListener("themechange", () => this.#paint());
    this.loaded.then(() => this.#drawGrid());
  }

  /** Shows `layer`: reports, heat or areas. */
  show(layer) {
    this.layer = layer;
    this.map.setLayoutProperty("heat", "visibility", layer === "heat" ? "visible" : "none");
    this.#paint();
  }

  /** Takes the areas feed: polygons with zone_id, name, open, overdue. */
  setZones(zones) {
    const features = zones.features.filter((feature) => feature.geometry);
    this.ends = bucketEnds(features.map((feature) => feature.properties.open ?? 0));
    const sorted = [...features].sort((a, b) => (b.properties.open ?? 0) - (a.properties.open ?? 0));
    const order = new Map(sorted.map((feature, index) => [feature, index]));
    for (const feature of features) feature.properties.bucket = colourFor(feature.properties.open ?? 0, this.ends);
    this.zones = { type: "FeatureCollection", features };
    this.map.getSource("zones").setData(this.zones);
    this.map.getSource("names").setData({
      type: "FeatureCollection",
      features: features.filter(({ properties }) => properties.zone_id !== this.unnamed).map((feature) => ({
        type: "Feature",
        properties: { name: feature.properties.name, order: order.get(feature), bucket: feature.properties.bucket },
        geometry: { type: "Point", coordinates: labelPoint(feature.geometry) },
      })),
    });
  }

  /** Takes the heat feed: points with a weight. */
  setHeat(points) {
    this.points = points;
    const weights = points.features.map(({ properties }) => properties.weight ?? properties.count ?? 1).sort((a, b) => a - b);
    const high = weights[Math.floor(weights.length * 0.95)] || 1;
    const weight = ["coalesce", ["get", "weight"], ["get", "count"], 1];
    this.map.getSource("heat").setData(points);
    this.map.setPaintProperty("heat", "heatmap-weight", ["interpolate", ["linear"], weight, 0, 0.05, high, 1]);
    this.#tuneHeat();
  }

  /** The area that holds the point, or null. */
  zoneAt(point) {
    return this.zones.features.find((feature) => holds(feature.geometry, point))?.properties ?? null;
  }

  /** Outlines one area; none for null. */
  select(zoneId) {
    this.map.setFilter("selected", ["==", ["get", "zone_id"], zoneId ?? ""]);
  }

  get bounds() {
    return boundsOf(this.zones.features.map(({ geometry }) => geometry)) ?? boundsOf(this.points.features.map(({ geometry }) => geometry));
  }

  /** Brings `bounds` (default: everything) into the part of the map that nothing covers. */
  fit(bounds = this.bounds, options = {}) {
    if (!bounds) return;
    this.#nameFrom();
    this.map.fitBounds(bounds, { padding: this.padding(), maxZoom: 16, duration: 700, ...options });
  }

  #nameFrom() {
    const zoom = this.bounds && this.map.cameraForBounds(this.bounds, { padding: this.padding() })?.zoom;
    if (!zoom || !this.interactive) return;
    this.labelsFrom = zoom + 0.8;
    this.#paint();
  }

  // As many points as there are over the whole city must neither drown it in the strongest colour nor vanish.
  #tuneHeat() {
    const { bounds } = this;
    const count = this.points.features.length;
    if (!bounds || !count) return;
    const home = this.map.cameraForBounds(bounds, { padding: this.padding() })?.zoom ?? 11;
    // Few points spread wide, many stay sharp.
    const radius = Math.min(46, Math.max(20, 560 / Math.sqrt(count)));
    const base = Math.min(1.5, Math.max(0.03, 168_000 / (count * radius ** 2)));
    const { map } = this;
    const { clientWidth, clientHeight } = map.getContainer();
    const size = radius * Math.min(1, clientWidth / 700, clientHeight / 700);
    map.setPaintProperty("heat", "heatmap-intensity", ["interpolate", ["exponential", 2], ["zoom"], home, base, home + 4, base * 8]);
    map.setPaintProperty("heat", "heatmap-radius", ["interpolate", ["linear"], ["zoom"], home, size, home + 4, size * 2]);
  }

  /** Brings `point` into the middle of what nothing covers. */
  goTo(point, options = {}) {
    const { top = 0, bottom = 0, left = 0, right = 0 } = this.padding();
    this.map.easeTo({ center: point, offset: [(left - right) / 2, (top - bottom) / 2], duration: 600, ...options });
  }

  #drawGrid() {
    this.map.getSource("grid")?.setData(grid(this.map.getBounds().toArray().flat()));
  }

  #paint() {
    const all = paints(palette(), this.layer, this.labelsFrom);
    for (const [id, properties] of Object.entries(all)) {
      if (!this.map.getLayer(id)) continue;
      for (const [name, value] of Object.entries(properties)) this.map.setPaintProperty(id, name, value);
    }
  }
}
