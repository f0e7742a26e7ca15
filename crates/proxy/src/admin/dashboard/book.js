// What is known of the edge, from its events. Everything in it is bounded.

const MOMENTS = 256;
const ENDED = 500;
const DELAYS = 300;

export class Book {
  constructor() {
    this.calls = new Map();
    this.ended = [];
    this.workers = [];
    this.phase = null;
    this.counters = null;
    // One for each second: how long inputs took.
    this.delays = [];
    this.offset = 0;
  }

  // The edge's clock, in microseconds: a browser's may be wrong.
  now() {
    return Date.now() * 1000 + this.offset;
  }

  take(name, data) {
    const of = {
      snapshot: () => this.begin(data),
      sessions: () => data.forEach((brief) => this.calls.set(brief.id, fresh(brief))),
      ended: () => { this.ended = data.map(fresh); },
      session: () => this.news(data),
      workers: () => { this.workers = data; },
      phase: () => { this.phase = data.phase; },
      counters: () => this.count(data),
    };
    of[name]?.();
  }

  begin(snapshot) {
    this.calls.clear();
    this.ended = [];
    this.offset = snapshot.now_unix_us - Date.now() * 1000;
    this.phase = snapshot.phase;
    this.workers = snapshot.workers;
    this.counters = snapshot.counters;
  }

  news({ session: brief, moment }) {
    const call = this.calls.get(brief.id) ?? fresh(brief);
    call.brief = brief;
    call.moments.push(moment);
    if (call.moments.length > MOMENTS) call.moments.shift();
    if (moment.event === "began") call.whole = true;
    if (moment.event === "ended") {
      this.calls.delete(brief.id);
      // One that ended while this page began to listen is told of twice.
      this.ended = [call, ...this.ended.filter((known) => known.brief.id !== brief.id)];
      this.ended.length = Math.min(this.ended.length, ENDED);
    } else {
      this.calls.set(brief.id, call);
    }
  }

  // What happened to a call before this page listened.
  recall(call, timeline) {
    const known = new Set(timeline.events.map((moment) => `${moment.at_unix_us} ${moment.event}`));
    const since = call.moments.filter((moment) => !known.has(`${moment.at_unix_us} ${moment.event}`));
    call.moments = [...timeline.events, ...since].slice(-MOMENTS);
    call.whole = true;
  }

  count(counters) {
    const before = this.counters;
    this.counters = counters;
    this.offset = counters.now_unix_us - Date.now() * 1000;
    if (!before || counters.round_trip.count < before.round_trip.count) return;
    const earlier = new Map(before.round_trip.buckets);
    const buckets = counters.round_trip.buckets.map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)]);
    const count = counters.round_trip.count - before.round_trip.count;
    this.delays.push({
      at: counters.now_unix_us,
      count,
      longest: buckets.at(-1)?.[0] ?? 0,
      p50: quantile(buckets, count, 0.5),
      p99: quantile(buckets, count, 0.99),
      handoffs: counters.handoffs - before.handoffs,
    });
    if (this.delays.length > DELAYS) this.delays.shift();
  }
}

function fresh(brief) {
  // `whole`: all its moments are known; `asked`: they have been asked for.
  return { brief, moments: [], whole: false, asked: false };
}

// In seconds, within the bucket as if values were spread evenly in it. Of nothing there is none; what lies
// beyond the last bucket could be of any length.
function quantile(buckets, count, share) {
  if (!count) return null;
  const wanted = count * share;
  let below = 0;
  let bound = 0;
  for (const [upper, upTo] of buckets) {
    if (upTo >= wanted && upTo > below) return bound + (upper - bound) * ((wanted - below) / (upTo - below));
    [below, bound] = [upTo, upper];
  }
  return Infinity;
}
