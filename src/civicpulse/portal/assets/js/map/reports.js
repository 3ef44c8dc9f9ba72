// Groups of reports and single ones as buttons on the map: sharp, and reachable by keyboard and screen reader.
import { Marker, Popup } from "maplibre-gl";
import { get } from "../lib/api.js";
import { categoryName } from "../lib/categories.js";
import { el } from "../lib/dom.js";
import { ago, number } from "../lib/format.js";
import { boundsOf, metres } from "../lib/geo.js";
import { grouped } from "../lib/grouping.js";
import { t, trackUrl } from "../lib/page.js";

// More buttons than this would slow a phone down; the largest groups come first.
const MAXIMUM_SHOWN = 400;
const MAXIMUM_LISTED = 12;
const GROUP_PX = 52;
const SAME_PLACE_M = 3;
// The feed is asked for finer groups than the map shows, which are then put together around where the reports are.
const FINER = 3;
const MAXIMUM_POINTS = 2000;
const URGENT = new Set(["P1", "P2"]);

/** The page's card for something on the map. */
export function openPopup(map, point, ...content) {
  return new Popup({ offset: 16, maxWidth: "280px", closeButton: true, focusAfterOpen: true, className: "cp-popup" })
    .setLngLat(point)
    .setDOMContent(el("div", { class: "cp-popup-body" }, ...content))
    .addTo(map);
}

const link = (id) => el("a", { class: "cp-popup-link", href: trackUrl(id) }, t("map.popup.follow"));

// A little more than the view, rounded outward to steps: neighbours and small moves ask for the same feed.
function snapped([west, south, east, north], zoom) {
  const step = 180 / 2 ** zoom;
  const [w, s, e, n] = [Math.floor(west / step), Math.floor(south / step), Math.ceil(east / step), Math.ceil(north / step)].map((value) => value * step);
  return [Math.max(-180, w), Math.max(-90, s), Math.min(180, e), Math.min(90, n)].map((value) => value.toFixed(6)).join();
}

export class Reports {
  #markers = new Map();
  #request = null;
  #timer = 0;
  #isStale = false;

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

  /** Asks for what is in view, once the map rests; `fresh`: also what came in this minute. */
  refresh({ fresh = false } = {}) {
    this.#isStale ||= fresh;
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
    const zoom = Math.floor(map.getZoom() + 0.01);
    const query = new URLSearchParams({
      zoom: Math.min(22, zoom + FINER), bbox: snapped(map.getBounds().toArray().flat(), zoom), max_points: MAXIMUM_POINTS,
    });
    if (this.#isStale) query.set("fresh", "true");
    this.#isStale = false;
    const feed = await get(`/analytics/geofeeds/clusters?${query}`, { signal: this.#request.signal });
    if (this.visible) this.#draw(feed.features);
  }

  #draw(features) {
    const zoom = Math.floor(this.city.map.getZoom() + 0.01);
    const shown = grouped(features, zoom, GROUP_PX).slice(0, MAXIMUM_SHOWN);
    const wanted = new Map(shown.map((feature) => [this.#key(feature), feature]));
    for (const [key, marker] of this.#markers) {
      if (wanted.has(key)) continue;
      marker.remove();
      this.#markers.delete(key);
    }
    for (const [key, feature] of wanted) if (!this.#markers.has(key)) this.#markers.set(key, this.#add(feature));
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

  // Comes as close as its members need to be told apart; reports at one and the same place never are, so those are listed.
  #open({ properties, geometry }) {
    const { map } = this.city;
    const members = properties.members ?? [];
    const [west, south, east, north] = boundsOf(members.map((member) => member.geometry)) ?? [0, 0, 0, 0];
    const isOnePlace = members.length > 0 && metres([west, south], [east, north]) < SAME_PLACE_M;
    if (isOnePlace && members.every((member) => member.properties.request_id)) {
      this.#list(geometry.coordinates, members);
      return;
    }
    const bounds = members.length > 1 && !isOnePlace ? [west, south, east, north] : null;
    const camera = bounds && map.cameraForBounds(bounds, { padding: this.city.padding() });
    const zoom = Math.min(map.getMaxZoom(), Math.max(map.getZoom() + 1, camera?.zoom ?? map.getZoom() + 2));
    this.city.goTo(camera ? [(west + east) / 2, (south + north) / 2] : geometry.coordinates, { zoom });
  }

  #list(point, members) {
    const items = members.slice(0, MAXIMUM_LISTED).map(({ properties: { request_id: id, category } }) =>
      el("li", {}, el("a", { href: trackUrl(id) }, categoryName(category)), el("span", { class: "cp-muted" }, ` ${id}`)));
    openPopup(this.city.map, point, el("h3", {}, t("map.popup.group", { count: number(members.length) })), el("ul", {}, ...items));
  }

  #show({ properties, geometry }) {
    const { request_id: id, category } = properties;
    const state = el("p", { class: "cp-muted" });
    openPopup(this.city.map, geometry.coordinates, el("h3", {}, categoryName(category)), el("p", { class: "cp-muted" }, id), state, link(id));
    const tell = ({ workflow, timestamps }) => (state.textContent = t("map.popup.state", { state: workflow.state_title, ago: ago(timestamps.created_at) }));
    get(`/requests/${encodeURIComponent(id)}`).then(tell, () => state.remove()); // the link below leads to the same facts
  }
}
