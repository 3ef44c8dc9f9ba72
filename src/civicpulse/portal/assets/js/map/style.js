// What the map looks like. Colours come from the style sheet, so that both themes live in one place.
import { BUCKETS } from "../lib/buckets.js";
import { page } from "../lib/page.js";

const FONT = ["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"];
export const empty = { type: "FeatureCollection", features: [] };

/** The map's colours in the current theme. */
export function palette() {
  const css = getComputedStyle(document.documentElement);
  const value = (name) => css.getPropertyValue(`--cp-map-${name}`).trim();
  return {
    water: value("water"), grid: value("grid"), shore: value("shore"), land: value("land"), border: value("border"),
    label: value("label"), halo: value("halo"), labelPlain: value("label-plain"), labelStrong: value("label-strong"), selected: value("selected"), dark: value("dark") === "1",
    areas: Array.from({ length: BUCKETS }, (_, index) => value(`area-${index + 1}`)),
    heat: Array.from({ length: 6 }, (_, index) => value(`heat-${index}`)),
  };
}

const tiles = page.tiles;

function tileAttribution() {
  const host = new URL(tiles).hostname;
  return host.endsWith("openstreetmap.org") ? "© OpenStreetMap contributors" : host;
}

/** The colour of an area: by its backlog's bucket, or land. */
export const areaFill = (colours, layer) =>
  layer === "areas" ? ["match", ["get", "bucket"], ...colours.areas.flatMap((colour, i) => [i + 1, colour]), colours.land] : colours.land;

const heatRamp = ([none, a, b, c, d, e]) =>
  ["interpolate", ["linear"], ["heatmap-density"], 0, none, 0.08, a, 0.28, b, 0.5, c, 0.75, d, 1, e];

const landOpacity = (layer) => (tiles ? (layer === "areas" ? 0.7 : 0.12) : 1);

/** Paint properties by layer, as they depend on the theme and on what the map shows. */
export function paints(colours, layer, labelsFrom = 0) {
  const isStrong = [">=", ["get", "bucket"], 4];
  const strong = ["case", isStrong, colours.labelStrong, colours.labelPlain];
  const [label, halo] = layer === "areas" ? [strong, ["case", isStrong, colours.areas[4], colours.areas[0]]] : [colours.label, colours.halo];
  // Groups of reports cover most names of a city seen whole: there, names come with a closer look.
  const labelOpacity = layer === "reports" && labelsFrom ? ["step", ["zoom"], 0, labelsFrom, 1] : 1;
  return {
    water: { "background-color": colours.water },
    tiles: { "raster-saturation": colours.dark ? -0.6 : -0.25, "raster-brightness-max": colours.dark ? 0.55 : 1 },
    grid: { "line-color": colours.grid, "line-width": 1 },
    shore: { "line-color": colours.shore, "line-width": 14, "line-blur": 12, "line-opacity": tiles ? 0 : 1 },
    land: { "fill-color": areaFill(colours, layer), "fill-opacity": landOpacity(layer), "fill-antialias": false },
    borders: { "line-color": colours.border, "line-width": ["interpolate", ["linear"], ["zoom"], 9, 0.6, 14, 1.6] },
    heat: { "heatmap-color": heatRamp(colours.heat), "heatmap-opacity": 0.88 },
    selected: { "line-color": colours.selected, "line-width": 2.5 },
    labels: { "text-color": label, "text-halo-color": halo, "text-halo-width": layer === "areas" ? 0.8 : 1.4, "text-opacity": labelOpacity },
  };
}

/** The whole style for a map that shows `layer`. */
export function mapStyle(layer) {
  const paint = paints(palette(), layer);
  const source = (data = empty) => ({ type: "geojson", data });
  const tileSource = tiles && { tiles: { type: "raster", tiles: [tiles], tileSize: 256, attribution: tileAttribution() } };
  const join = { "line-join": "round", "line-cap": "round" };
  return {
    version: 8,
    sources: { ...tileSource, grid: source(), zones: source(), names: source(), heat: source() },
    layers: [
      { id: "water", type: "background", paint: paint.water },
      ...(tiles ? [{ id: "tiles", type: "raster", source: "tiles", paint: paint.tiles }] : []),
      { id: "grid", type: "line", source: "grid", paint: paint.grid, layout: { visibility: tiles ? "none" : "visible" } },
      { id: "shore", type: "line", source: "zones", paint: paint.shore, layout: join },
      { id: "land", type: "fill", source: "zones", paint: paint.land },
      { id: "borders", type: "line", source: "zones", paint: paint.borders, layout: join },
      { id: "heat", type: "heatmap", source: "heat", paint: paint.heat, layout: { visibility: layer === "heat" ? "visible" : "none" } },
      { id: "selected", type: "line", source: "zones", filter: ["==", ["get", "zone_id"], ""], paint: paint.selected, layout: join },
      {
        id: "labels", type: "symbol", source: "names", paint: paint.labels,
        layout: {
          "text-field": ["get", "name"], "text-font": FONT, "text-max-width": 8, "text-padding": 6, "text-letter-spacing": 0.02,
          "text-size": ["interpolate", ["linear"], ["zoom"], 9, 10.5, 12, 12.5, 15, 15], "symbol-sort-key": ["get", "order"],
        },
      },
    ],
  };
}

const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

/** Lines of latitude and longitude over the view: a quiet sense of scale where no tiles are. */
export function grid([west, south, east, north]) {
  const step = STEPS.find((size) => (east - west) / size >= 6) ?? STEPS.at(-1);
  const lines = [];
  const [w, s, e, n] = [west - step, Math.max(-85, south - step), east + step, Math.min(85, north + step)];
  for (let x = Math.floor(w / step) * step; x <= e; x += step) lines.push([[x, s], [x, n]]);
  for (let y = Math.floor(s / step) * step; y <= n; y += step) lines.push([[w, y], [e, y]]);
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
}
