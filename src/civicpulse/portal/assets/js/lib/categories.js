// The tenant's categories, read once.
import { get } from "./api.js";
import { pretty } from "./format.js";

let reading = null;

/** [{id, name, group, color}], in the pack's order. A failed reading is tried again the next time. */
export function categories() {
  reading ??= get("/categories").then((answer) => answer.items).catch((error) => {
    reading = null;
    throw error;
  });
  return reading;
}

const names = new Map();
categories().then((items) => items.forEach((item) => names.set(item.id, item.name)), () => {});

/** The category's name; its code made readable until the names are known. */
export const categoryName = (id) => names.get(id) ?? pretty(id ?? "");
