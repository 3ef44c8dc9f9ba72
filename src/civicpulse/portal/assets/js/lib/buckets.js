// Which colour an area gets for its number of open reports.

export const BUCKETS = 5;
// Few buckets still span the whole scale of colours.
const SPREAD = { 1: [4], 2: [2, 5], 3: [1, 3, 5], 4: [1, 2, 4, 5], 5: [1, 2, 3, 4, 5] };

/** Upper ends of the buckets: about equally many areas in each, and only distinct ends. */
export function bucketEnds(counts) {
  const sorted = counts.filter((count) => count > 0).sort((a, b) => a - b);
  const ends = [];
  for (let i = 1; i <= BUCKETS && sorted.length; i += 1) {
    const end = sorted[Math.ceil((sorted.length * i) / BUCKETS) - 1];
    if (end !== ends.at(-1)) ends.push(end);
  }
  return ends;
}

/** The colour number, 1 to BUCKETS, of bucket `index`. */
export const colourOf = (index, ends) => SPREAD[ends.length][index];

/** The colour number for `count`; 0 is no colour. */
export function colourFor(count, ends) {
  if (count <= 0 || !ends.length) return 0;
  const index = ends.findIndex((end) => count <= end);
  return colourOf(index < 0 ? ends.length - 1 : index, ends);
}
