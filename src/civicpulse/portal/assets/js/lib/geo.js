// Small geometry on longitude and latitude.

const rings = (geometry) => (geometry.type === "MultiPolygon" ? geometry.coordinates : [geometry.coordinates]);

/** [west, south, east, north] of GeoJSON geometries, or null when there are none. */
export function boundsOf(geometries) {
  let [w, s, e, n] = [Infinity, Infinity, -Infinity, -Infinity];
  const visit = (part) => {
    if (typeof part[0] === "number") {
      [w, s, e, n] = [Math.min(w, part[0]), Math.min(s, part[1]), Math.max(e, part[0]), Math.max(n, part[1])];
    } else part.forEach(visit);
  };
  geometries.forEach((geometry) => geometry && visit(geometry.coordinates));
  return Number.isFinite(w) ? [w, s, e, n] : null;
}

function inRing([x, y], ring) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
    const [[xi, yi], [xj, yj]] = [ring[i], ring[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Whether the polygon or multipolygon holds the point. */
export const holds = (geometry, point) =>
  rings(geometry).some(([outer, ...holes]) => inRing(point, outer) && !holes.some((hole) => inRing(point, hole)));

const area = (ring) =>
  Math.abs(ring.reduce((sum, [x, y], i) => sum + x * ring[(i + 1) % ring.length][1] - y * ring[(i + 1) % ring.length][0], 0));

/** A point inside the largest part, for its label: the middle of its widest level line. */
export function labelPoint(geometry) {
  const [ring] = rings(geometry).map(([outer]) => outer).sort((a, b) => area(b) - area(a));
  const [, south, , north] = boundsOf([{ coordinates: ring }]);
  let best = { width: -1, point: ring[0] };
  for (let step = 1; step < 12; step += 1) {
    const y = south + ((north - south) * step) / 12;
    const xs = [];
    ring.forEach(([xi, yi], i) => {
      const [xj, yj] = ring[(i + 1) % ring.length];
      if (yi > y !== yj > y) xs.push(xi + ((y - yi) * (xj - xi)) / (yj - yi));
    });
    xs.sort((a, b) => a - b);
    // Prefers wide places, and of equally wide ones those in the middle.
    const middle = 1 - Math.abs(step - 6) / 24;
    for (let i = 0; i + 1 < xs.length; i += 2) {
      const width = (xs[i + 1] - xs[i]) * middle;
      if (width > best.width) best = { width, point: [(xs[i] + xs[i + 1]) / 2, y] };
    }
  }
  return best.point;
}

/** Metres between two points, good for a few kilometres. */
export function metres([lon1, lat1], [lon2, lat2]) {
  const x = (lon2 - lon1) * Math.cos((((lat1 + lat2) / 2) * Math.PI) / 180);
  return Math.hypot(x, lat2 - lat1) * 111195;
}
