// The live public map: figures, areas, layers, and the way to a report.
import { get } from "./lib/api.js";
import { $, el } from "./lib/dom.js";
import { ago, duration, number } from "./lib/format.js";
import { setUpHeader } from "./lib/header.js";
import { t } from "./lib/page.js";
import { showAreas } from "./areas.js";
import { showLegend } from "./legend.js";
import { setUpReport } from "./report/panel.js";

const EVERY_MS = 30_000;
const phone = matchMedia("(max-width: 767px)");
let updatedAt = 0;
let isLost = false;

function setUpLive() {
  const show = () => {
    if (!updatedAt) return;
    const recent = Date.now() - updatedAt < EVERY_MS * 1.5;
    $("live").classList.toggle("cp-live-lost", isLost);
    $("live-text").textContent = isLost ? t("live.lost", { ago: ago(updatedAt) }) : recent ? t("live.now") : t("live.ago", { ago: ago(updatedAt) });
  };
  setInterval(show, 5000);
  return (lost) => {
    isLost = lost;
    if (!lost) updatedAt = Date.now();
    updatedAt ||= Date.now();
    show();
  };
}

const figures = {
  backlog: ({ backlog }) => backlog === undefined || backlog === null ? null : [number(backlog), t("kpi.backlog.note")],
  on_time: ({ sla }) => {
    const share = sla?.met_pct ?? (typeof sla?.breach_pct === "number" ? 100 - sla.breach_pct : null);
    return share === null ? null : [`${number(share)} %`, t("kpi.on_time.note")];
  },
  resolution: ({ resolution }) => {
    const minutes = resolution?.median_minutes ?? resolution?.avg_minutes;
    return typeof minutes === "number" ? [duration(minutes * 60), t("kpi.resolution.note")] : null;
  },
  rating: ({ ratings }) => typeof ratings?.average === "number" ? [number(ratings.average, 1), t("kpi.rating.note")] : null,
};

function showFigures(totals) {
  for (const [name, figure] of Object.entries(figures)) {
    const [value, note] = totals ? figure(totals) ?? [t("kpi.none"), t("kpi.none.note")] : [t("kpi.none"), t("kpi.failed")];
    const tile = document.querySelector(`[data-kpi="${name}"]`);
    tile.querySelector(".cp-kpi-value").textContent = value;
    tile.querySelector(".cp-kpi-note").textContent = note;
  }
  $("kpis").removeAttribute("aria-busy");
}

/** What covers the map's edges, so that a fitted city lands in the free part. */
function padding() {
  const isReporting = document.body.classList.contains("cp-reporting");
  if (phone.matches) {
    const sheet = isReporting ? $("report-panel").offsetHeight : 0;
    return { top: isReporting ? 56 : 76, bottom: sheet ? sheet + 16 : 52, left: 20, right: 20 };
  }
  return { top: 44, bottom: 56, left: 44 + (isReporting ? $("report-panel") : $("areas")).offsetWidth + 20, right: 72 };
}

function setUpLayers(city, reports) {
  const show = (layer) => {
    city.show(layer);
    reports.setVisible(layer === "reports");
    showLegend(layer, city);
    $("map").dataset.layer = layer;
  };
  $("layers").addEventListener("change", (event) => show(event.target.value));
  show(document.querySelector("#layers input:checked").value);
  return show;
}

function setUpButtons(city) {
  $("zoom-in").addEventListener("click", () => city.map.zoomIn());
  $("zoom-out").addEventListener("click", () => city.map.zoomOut());
  $("zoom-fit").addEventListener("click", () => {
    city.select(null);
    city.fit();
  });
}

const read = (query = "") => Promise.allSettled([
  get("/analytics/kpis"), get(`/analytics/geofeeds/zones${query}`), get(`/analytics/geofeeds/heatmap${query}`),
]);

function show([kpis, zones, heat], live, city) {
  if (kpis.status === "fulfilled" || !updatedAt) showFigures(kpis.value?.totals);
  live([kpis, zones, heat].some(({ status }) => status === "rejected"));
  if (zones.status === "fulfilled") {
    showAreas(zones.value, city);
    city?.setZones(zones.value);
  }
  if (heat.status === "fulfilled") city?.setHeat(heat.value);
  if (city) showLegend(city.layer, city);
}

async function loadMap() {
  const [{ CityMap }, { Reports }, { setUpAreaPopups }] = await Promise.all([
    import("./map/city-map.js"), import("./map/reports.js"), import("./map/area-popup.js"),
  ]);
  const city = new CityMap($("map"), { padding });
  await city.loaded;
  setUpAreaPopups(city, () => document.body.classList.contains("cp-reporting"));
  return { city, reports: new Reports(city) };
}

function mapFailed(error) {
  console.warn("the map could not be loaded", error);
  const canDraw = Boolean(document.createElement("canvas").getContext("webgl2"));
  $("map").dataset.state = "failed";
  $("map").append(el("p", { class: "cp-map-failed" }, t(canDraw ? "map.failed" : "map.no_webgl")));
  return {};
}

async function start() {
  setUpHeader();
  const live = setUpLive();
  const first = read();
  first.then((feeds) => show(feeds, live));
  const { city, reports } = await loadMap().catch(mapFailed);
  if (city) {
    setUpButtons(city);
    setUpLayers(city, reports);
    show(await first, live, city);
    city.fit(undefined, { duration: 0 });
    $("map").dataset.state = "ready";
  }
  const refresh = async () => {
    show(await read(), live, city);
    reports?.refresh();
  };
  const whenVisible = () => document.visibilityState === "visible" && refresh();
  setUpReport(city, async () => {
    reports?.refresh({ fresh: true });
    show(await read("?fresh=true"), live, city);
  });
  $("map").addEventListener("feedlost", () => live(true));
  setInterval(whenVisible, EVERY_MS);
  document.addEventListener("visibilitychange", whenVisible);
}

start();
