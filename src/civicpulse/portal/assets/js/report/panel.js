// The report: its panel, its pin, its answers.
import { ApiError, get, post } from "../lib/api.js";
import { categories } from "../lib/categories.js";
import { $, el } from "../lib/dom.js";
import { coordinates, number } from "../lib/format.js";
import { metres } from "../lib/geo.js";
import { page, t, tn, trackUrl } from "../lib/page.js";
import { Combobox } from "./combobox.js";
import { clearErrors, showErrors } from "./errors.js";
import { showSent } from "./sent.js";

const NEAR_METRES = 100;
// Without tiles there is nothing but areas to find one's way by: the map stays far enough to show some.
const CLOSE_ZOOM = page.tiles ? 15.5 : 13.5;
const newKey = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

const optionOf = ({ id, name, group, description = "", keywords = [] }) => ({
  value: id, label: name, group: group || t("report.category.other_group"), words: [description, ...[keywords].flat()].join(" "),
});

class ReportPanel {
  #key = null;
  #asked = 0;

  constructor(city, onSent) {
    this.city = city;
    this.onSent = onSent;
    this.point = null;
    this.pin = null;
    this.box = new Combobox($("report-category"), $("category-list"), { onChoose: () => this.#lookAround() });
    $("report-open").addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    $("report-close").addEventListener("click", () => this.close());
    $("report-panel").addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    $("report-locate").addEventListener("click", () => this.#locate());
    $("report-coordinates-open").addEventListener("click", () => this.#showCoordinates());
    for (const id of ["report-lat", "report-lon"]) $(id).addEventListener("change", () => this.#typed());
    $("report-description").addEventListener("change", () => this.#preview());
    $("report-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    city?.map.on("click", ({ lngLat }) => this.isOpen && this.#clicked(lngLat.toArray()));
  }

  get isOpen() {
    return !$("report-panel").hidden;
  }

  async open() {
    this.#key ??= newKey();
    $("report-panel").hidden = false;
    $("report-open").setAttribute("aria-expanded", "true");
    document.body.classList.add("cp-reporting");
    $("report-heading").focus({ preventScroll: true });
    scrollTo({ top: 0 });
    this.city?.map.resize();
    this.city?.goTo(this.city.map.getCenter());
    if (!this.city) this.#showCoordinates();
    const { Pin } = this.city ? await import("../map/pin.js") : {};
    if (Pin) this.pin ??= new Pin(this.city.map, (point) => this.place(point));
    if (this.point) this.pin?.place(this.point); // a quick visitor has clicked already
    await this.#fillCategories();
  }

  close() {
    $("report-panel").hidden = true;
    $("report-open").setAttribute("aria-expanded", "false");
    document.body.classList.remove("cp-reporting");
    this.city?.map.resize();
    this.pin?.remove();
    this.point = null;
    $("report-place").textContent = t("report.where.hint");
    $("report-open").focus();
  }

  async #fillCategories() {
    try {
      const items = await categories();
      this.box.setOptions(items.map(optionOf));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showErrors([{ id: "report-category", error: "error-category", text: t("report.error.network") }]);
    }
  }

  /** Puts the pin at [lon, lat] and says where that is. */
  place(point) {
    this.point = point;
    this.pin?.place(point);
    const [lon, lat] = point;
    [$("report-lon").value, $("report-lat").value] = [lon.toFixed(6), lat.toFixed(6)];
    const zone = this.city?.zoneAt(point);
    const hasZones = (this.city?.zones.features.length ?? 0) > 0;
    const text = zone ? t("report.where.zone", { zone: zone.name }) : t(hasZones ? "report.where.outside" : "report.where.free");
    $("report-place").textContent = text;
    $("report-place").title = coordinates(lon, lat);
    clearErrors("error-location");
    this.#lookAround();
  }

  // From afar a click only says roughly where: the map comes closer, so that the pin can be put right.
  #clicked(point) {
    this.place(point);
    if (this.city.map.getZoom() < CLOSE_ZOOM - 1) this.#goTo(point);
  }

  #showCoordinates() {
    $("report-coordinates").hidden = false;
    $("report-coordinates-open").setAttribute("aria-expanded", "true");
    $("report-lat").focus();
  }

  #typed() {
    const [lat, lon] = [$("report-lat"), $("report-lon")].map(({ value }) => (value.trim() === "" ? NaN : Number(value.trim().replace(",", "."))));
    if (Number.isNaN(lat) || Number.isNaN(lon)) return;
    if (Math.abs(lat) > 90 || Math.abs(lon) > 180) {
      showErrors([{ id: "report-lat", error: "error-location", text: t("report.error.coordinates") }]);
      return;
    }
    this.place([lon, lat]);
    this.#goTo([lon, lat]);
  }

  #goTo(point) {
    this.city?.goTo(point, { zoom: Math.max(CLOSE_ZOOM, this.city.map.getZoom()) });
  }

  #locate() {
    $("report-place").textContent = t("report.locating");
    const failed = () => ($("report-place").textContent = t("report.locate.failed"));
    if (!navigator.geolocation) failed();
    else {
      navigator.geolocation.getCurrentPosition(
        ({ coords: { longitude, latitude } }) => {
          this.place([longitude, latitude]);
          this.#goTo([longitude, latitude]);
        },
        failed,
        { enableHighAccuracy: true, timeout: 10_000, maximumAge: 60_000 },
      );
    }
  }

  // What everybody will read, where that is not what was written; without an answer nothing is said.
  async #preview() {
    const box = $("report-preview");
    const written = $("report-description").value.trim();
    const shown = written ? await post("/privacy/preview", { text: written }).catch(() => null) : null;
    if ($("report-description").value.trim() !== written) return; // more was written meanwhile
    box.hidden = !shown?.hidden.length;
    box.textContent = box.hidden ? "" : t("report.preview", { text: shown.text });
  }

  // Open reports of the same kind close to the pin: perhaps this one is known already.
  async #lookAround() {
    const box = $("report-nearby");
    const { point } = this;
    const category = this.box.value;
    this.#asked += 1;
    const asked = this.#asked;
    if (!point || !category) {
      box.hidden = true;
      return;
    }
    const [dy, dx] = [NEAR_METRES / 111195, NEAR_METRES / 111195 / Math.cos((point[1] * Math.PI) / 180)];
    const bbox = [point[0] - dx, point[1] - dy, point[0] + dx, point[1] + dy].map((value) => value.toFixed(6)).join(",");
    const feed = await get(`/analytics/geofeeds/clusters?zoom=22&bbox=${bbox}&fresh=true`).catch(() => null); // a courtesy: without it the report works as well
    if (!feed || asked !== this.#asked) return;
    const near = feed.features
      .filter(({ properties }) => properties.request_id && properties.category === category)
      .map(({ properties, geometry }) => ({ id: properties.request_id, distance: metres(point, geometry.coordinates) }))
      .filter(({ distance }) => distance <= NEAR_METRES)
      .sort((a, b) => a.distance - b.distance)
      .slice(0, 3);
    const items = near.map(({ id, distance }) =>
      el("li", {}, el("a", { href: trackUrl(id), target: "_blank", rel: "noopener" }, distance < 5 ? t("report.nearby.here", { id }) : t("report.nearby.item", { id, metres: number(Math.round(distance)) }))));
    box.replaceChildren(el("p", {}, tn("report.nearby", near.length)), el("ul", {}, ...items));
    box.hidden = near.length === 0;
  }

  #problems() {
    const problems = [];
    if (!this.point) problems.push({ id: "report-locate", error: "error-location", text: t("report.error.location") });
    if (!this.box.value) problems.push({ id: "report-category", error: "error-category", text: t("report.error.category") });
    if (!$("report-description").value.trim()) problems.push({ id: "report-description", error: "error-description", text: t("report.error.description") });
    return problems;
  }

  async #send() {
    clearErrors();
    const problems = this.#problems();
    if (problems.length) {
      showErrors(problems);
      return;
    }
    const button = $("report-send");
    button.disabled = true;
    button.textContent = t("report.sending");
    try {
      const answer = await post("/requests/", this.#body(), { "Idempotency-Key": this.#key });
      this.#done(answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(error);
    } finally {
      button.disabled = false;
      button.textContent = t("report.send");
    }
  }

  #body() {
    return {
      citizen_ref: { citizen_id: null, anonymous: true, contact_channel: "none" },
      category: this.box.value,
      description: $("report-description").value.trim(),
      location: { type: "Point", coordinates: this.point.map((value) => Number(value.toFixed(6))), address_hint: $("report-address").value.trim() || null },
    };
  }

  #done(answer) {
    // The next report is another one: it gets a key of its own.
    this.#key = null;
    $("report-form").reset();
    $("report-nearby").hidden = true;
    this.box.clear();
    this.close();
    showSent(answer);
    this.onSent();
  }

  #refused({ status, problem }) {
    // A body that was refused may be corrected, and a key belongs to one body.
    if (status === 422) this.#key = newKey();
    const places = { category: "category", description: "description", address_hint: "address", location: "location", coordinates: "location" };
    const inputs = { category: "report-category", description: "report-description", address: "report-address", location: "report-locate" };
    const known = (problem?.errors ?? []).map(({ field, detail }) => {
      const place = Object.entries(places).findLast(([name]) => field.split(".").includes(name))?.[1];
      return place ? { id: inputs[place], error: `error-${place}`, text: detail } : { id: null, error: null, text: detail };
    });
    const general = { 0: "report.error.network", 429: "report.error.too_many" }[status] ?? "report.error.server";
    showErrors(known.length ? known : [{ id: null, error: null, text: status === 422 ? problem.detail : t(general) }]);
  }
}

/** Makes the report button work; `onSent()` is called after a report was taken. */
export const setUpReport = (city, onSent) => new ReportPanel(city, onSent);
