// Groups of reports and single ones as buttons on the map: sharp, and reachable by keyboard and screen reader.
import { Marker, Popup } from "maplibre-gl";
import { get } from "../lib/api.js";
import { categoryName } from "../lib/categories.js";
import { el } from "../lib/dom.js";
import { ago, number } from "../lib/format.js";
import { metres } from "../lib/geo.js";
import { t, trackUrl } from "../lib/page.js";

// More buttons than this would slow a phone down; the largest groups come first.
const MOST = 400;
const HOUR_MS = 3600e3;
const URGENT = new Set(["P1", "P2"]);

/** The page's card for something on the map. */
export function openPopup(map, point, ...content) {
  return new Popup({ offset: 16, maxWidth: "280px", closeButton: true, focusAfterOpen: true, className: "cp-popup" })
    .setLngLat(point)
    .setDOMContent(el("div", { class: "cp-popup-body" }, ...content))
    .addTo(map);
}

const link = (id) => el("a", { class: "cp-popup-link", href: trackUrl(id) }, t("map.popup.follow"));

export class Reports {
  #markers = new Map();
  #request = null;
  #timer = 0;

  constructor(city) {
    this.city = city;
    this.visible = true;
    city.map.on("moveend", () => this.refresh());
  }

  /** Shows or hides them. */
  setVisible(visible) {
    this.visible = visible;
    if (visible) this.refresh();
    else this.#draw([]);
  }

  /** Asks for what is in view, once the map rests. */
  refresh() {
    clearTimeout(this.#timer);
    if (this.visible) this.#timer = setTimeout(() => this.#load().catch((error) => this.#failed(error)), 60);
  }

  #failed(error) {
    if (error.name !== "AbortError") this.city.map.getContainer().dispatchEvent(new CustomEvent("feedlost", { bubbles: true, detail: error }));
  }

  async #load() {
    this.#request?.abort();
    this.#request = new AbortController();
    const { map } = this.city;
    const [[west, south], [east, north]] = map.getBounds().toArray();
    const [dx, dy] = [(east - west) * 0.08, (north - south) * 0.08];
    const bbox = [Math.max(-180, west - dx), Math.max(-90, south - dy), Math.min(180, east + dx), Math.min(90, north + dy)];
    const query = new URLSearchParams({ zoom: Math.round(map.getZoom()), bbox: bbox.map((value) => value.toFixed(6)).join(",") });
    const feed = await get(`/analytics/geofeeds/clusters?${query}`, this.#request.signal);
    if (this.visible) this.#draw(feed.features);
  }

  #draw(features) {
    const count = ({ properties }) => properties.count ?? 1;
    const shown = [...features].sort((a, b) => count(b) - count(a)).slice(0, MOST);
    const wanted = new Map(shown.map((feature) => [this.#key(feature), feature]));
    for (const [key, marker] of this.#markers) {
      if (wanted.has(key)) continue;
      marker.remove();
      this.#markers.delete(key);
    }
    for (const [key, feature] of wanted) if (!this.#markers.has(key)) this.#markers.set(key, this.#add(feature));
    this.city.map.getContainer().dataset.reports = String(shown.reduce((sum, feature) => sum + count(feature), 0));
  }

  #key({ properties, geometry }) {
    return `${properties.request_id ?? ""}:${properties.count ?? 1}:${geometry.coordinates.join()}`;
  }

  #add(feature) {
    const isGroup = (feature.properties.count ?? 1) > 1;
    const element = isGroup ? this.#group(feature) : this.#single(feature);
    return new Marker({ element }).setLngLat(feature.geometry.coordinates).addTo(this.city.map);
  }

  #group(feature) {
    const { count } = feature.properties;
    const size = Math.round(Math.min(68, 26 + Math.log2(count) * 4.4));
    const button = el("button", { type: "button", class: "cp-group", "aria-label": t("map.cluster", { count: number(count) }) });
    button.append(el("span", {}, count < 10000 ? number(count) : `${Math.round(count / 1000)}k`));
    button.style.setProperty("--size", `${size}px`);
    button.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#open(feature);
    });
    return button;
  }

  #single(feature) {
    const { category, priority } = feature.properties;
    const name = categoryName(category);
    const urgent = URGENT.has(priority) ? " cp-single-urgent" : "";
    const button = el("button", { type: "button", class: `cp-single${urgent}`, "aria-label": t("map.single", { category: name }), title: name });
    button.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#show(feature);
    });
    return button;
  }

  // Zooms until the group falls apart; where it cannot, lists what is known of its members.
  #open({ properties, geometry }) {
    const { map } = this.city;
    const zoom = Math.min(map.getMaxZoom(), Math.max(properties.expansion_zoom ?? 0, map.getZoom() + 1.5));
    if (map.getZoom() < map.getMaxZoom() - 0.5) {
      map.easeTo({ center: geometry.coordinates, zoom, duration: 500, padding: this.city.padding() });
      return;
    }
    const near = this.city.points.features.filter(
      (point) => point.properties.request_id && metres(point.geometry.coordinates, geometry.coordinates) < 25,
    );
    const items = near.slice(0, 8).map(({ properties: { request_id: id, category } }) =>
      el("li", {}, el("a", { href: trackUrl(id) }, `${categoryName(category)} · ${id}`)));
    openPopup(map, geometry.coordinates, el("h3", {}, t("map.popup.group", { count: number(properties.count) })), el("ul", {}, ...items));
  }

  #show({ properties, geometry }) {
    const { request_id: id, category, age_hours: age } = properties;
    openPopup(
      this.city.map,
      geometry.coordinates,
      el("h3", {}, categoryName(category)),
      el("p", { class: "cp-muted" }, id, age === undefined ? null : el("br"), age === undefined ? null : t("map.popup.reported", { ago: ago(Date.now() - age * HOUR_MS) })),
      link(id),
    );
  }
}
