// Reports close together on the screen become one group, in the middle of its members.
const TILE_PX = 512;

/** Pixel position of [lon, lat] in the world at `zoom` (web Mercator). */
function toPixels([lon, lat], zoom) {
  const size = TILE_PX * 2 ** zoom;
  const sine = Math.sin((Math.min(85, Math.max(-85, lat)) * Math.PI) / 180);
  return [((lon + 180) / 360) * size, (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) * size];
}

const countOf = ({ properties }) => properties.count ?? 1;

function merged(members) {
  const count = members.reduce((sum, member) => sum + countOf(member), 0);
  const middle = [0, 1].map((axis) => members.reduce((sum, member) => sum + member.geometry.coordinates[axis] * countOf(member), 0) / count);
  return { properties: { count, members }, geometry: { type: "Point", coordinates: middle } };
}

/** Point features, largest first; those within `radius` pixels of each other at `zoom` as one with `count` and `members`. */
export function grouped(features, zoom, radius) {
  const points = features
    .map((feature) => ({ feature, at: toPixels(feature.geometry.coordinates, zoom) }))
    .sort((a, b) => countOf(b.feature) - countOf(a.feature) || a.at[0] - b.at[0] || a.at[1] - b.at[1]);
  const cellOf = ([x, y]) => [Math.floor(x / radius), Math.floor(y / radius)];
  const cells = new Map();
  for (const point of points) {
    const key = cellOf(point.at).join();
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(point);
  }
  const groups = [];
  for (const centre of points) {
    if (centre.taken) continue;
    const [cx, cy] = cellOf(centre.at);
    const around = [-1, 0, 1].flatMap((dx) => [-1, 0, 1].flatMap((dy) => cells.get(`${cx + dx},${cy + dy}`) ?? []));
    const members = around.filter(({ taken, at }) => !taken && Math.hypot(at[0] - centre.at[0], at[1] - centre.at[1]) <= radius);
    members.forEach((member) => (member.taken = true));
    groups.push(members.length === 1 ? centre.feature : merged(members.map(({ feature }) => feature)));
  }
  return groups.sort((a, b) => countOf(b) - countOf(a));
}
