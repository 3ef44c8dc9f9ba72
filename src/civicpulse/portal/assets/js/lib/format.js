// Numbers, durations and times as a person says them.
import { language } from "./page.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const units = [["day", DAY], ["hour", HOUR], ["minute", MINUTE]];
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

export const number = (value, digits = 0) =>
  value.toLocaleString(language, { maximumFractionDigits: digits, minimumFractionDigits: digits });

const unit = (value, name, display) =>
  new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: display, maximumFractionDigits: 0 }).format(value);

/** Two units at most, such as "1 d 6 h". */
export function duration(seconds, display = "narrow") {
  let left = Math.max(MINUTE, Math.round(seconds / MINUTE) * MINUTE);
  if (left > 10 * DAY) left = Math.round(left / DAY) * DAY;
  const parts = [];
  for (const [name, size] of units) {
    const whole = Math.floor(left / size);
    if (whole > 0) parts.push(unit(whole, name, display));
    left -= whole * size;
    if (parts.length === 2 || (parts.length === 1 && whole >= 10 && name === "day")) break;
  }
  return parts.join(" ");
}

/** "3 hours ago", "yesterday". */
export function ago(moment, now = Date.now()) {
  const seconds = (new Date(moment) - now) / 1000;
  if (Math.abs(seconds) < 45) return relative.format(0, "second");
  const [name, size] = units.find(([, length]) => Math.abs(seconds) >= length * 0.9) ?? units[2];
  return relative.format(Math.round(seconds / size), name);
}

/** "Tuesday, 12 May, 14:00"; the year only when it is another one. */
export function moment(value) {
  const date = new Date(value);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleString(language === "en" ? "en-GB" : language, {
    weekday: "short", day: "numeric", month: "short", year, hour: "2-digit", minute: "2-digit",
  });
}

/** "missed_trash" → "Missed trash". */
export function pretty(code) {
  const words = String(code).replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const coordinates = (lon, lat) => `${lat.toFixed(5)}, ${lon.toFixed(5)}`;
