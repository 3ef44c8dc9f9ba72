// The pin of a report: dragged, clicked into place, or moved with the arrow keys.
import { Marker } from "maplibre-gl";
import { el } from "../lib/dom.js";
import { t } from "../lib/page.js";

const STEP_PX = 8;
const LEAP_PX = 48;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function drawing() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ width: "38", height: "48", viewBox: "0 0 38 48", "aria-hidden": "true" })) svg.setAttribute(name, value);
  const shapes = [
    ["ellipse", { class: "cp-pin-shadow", cx: "19", cy: "45", rx: "7", ry: "2.5" }],
    ["path", { class: "cp-pin-body", d: "M19 45C9 33 3 25.5 3 17.5a16 16 0 0 1 32 0C35 25.5 29 33 19 45z" }],
    ["circle", { class: "cp-pin-eye", cx: "19", cy: "17.5", r: "6" }],
  ];
  for (const [tag, attributes] of shapes) {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    svg.append(shape);
  }
  return svg;
}

export class Pin {
  #marker = null;

  /** `onMove([lon, lat])` is called after each move by hand. */
  constructor(map, onMove) {
    this.map = map;
    this.onMove = onMove;
  }

  /** Puts the pin at [lon, lat]. */
  place(point) {
    if (!this.#marker) this.#marker = this.#make();
    this.#marker.setLngLat(point).addTo(this.map);
  }

  remove() {
    this.#marker?.remove();
    this.#marker = null;
  }

  focus() {
    this.#marker?.getElement().focus({ preventScroll: true });
  }

  #make() {
    const element = el("div", { class: "cp-pin", role: "application", tabindex: "0", "aria-label": t("report.pin") });
    element.append(drawing());
    const marker = new Marker({ element, anchor: "bottom", draggable: true });
    marker.on("dragend", () => this.onMove(marker.getLngLat().toArray()));
    element.addEventListener("keydown", (event) => this.#key(event, marker));
    element.addEventListener("click", (event) => event.stopPropagation());
    return marker;
  }

  #key(event, marker) {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const step = event.shiftKey ? LEAP_PX : STEP_PX;
    const { x, y } = this.map.project(marker.getLngLat());
    const point = this.map.unproject([x + move[0] * step, y + move[1] * step]);
    marker.setLngLat(point);
    if (!this.map.getBounds().contains(point)) this.map.panTo(point);
    this.onMove(point.toArray());
  }
}
