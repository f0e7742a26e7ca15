// What is known of the edge, from its events. Everything in it is bounded.

const MOMENTS = 256;
const ENDED = 500;
// Of how long the delay is kept, in microseconds.
const DELAYS = 300e6;

export class Book {
  constructor() {
    this.calls = new Map();
    this.ended = [];
    this.workers = [];
    // The version of each address at which a worker was met.
    this.met = new Map();
    this.rules = [];
    this.phase = null;
    this.counters = null;
    // What happened since these were counted, by event: a row and its number are never of two minds.
    this.since = {};
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
      workers: () => this.know(data),
      rollout: () => { this.rules = data.pools; },
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
    this.know(snapshot.workers);
    this.rules = snapshot.rollout.pools;
    this.counters = snapshot.counters;
    this.since = {};
  }

  know(workers) {
    this.workers = workers;
    this.met = new Map(workers.map(({ address, version }) => [address, version || this.met.get(address)]));
  }

  // How often that has happened on this edge: as it counts it, and as its calls tell it.
  sum(name, event) {
    return this.counters && this.counters[name] + (this.since[event] ?? 0);
  }

  news({ session: brief, moment }) {
    const call = this.calls.get(brief.id) ?? fresh(brief);
    call.brief = brief;
    call.moments.push(moment);
    if (moment.event === "began") Object.assign(call, { whole: true, dropped: false });
    if (call.moments.length > MOMENTS) {
      call.moments.shift();
      call.dropped = true;
    }
    if (moment.at_unix_us > this.counters?.now_unix_us) this.since[moment.event] = (this.since[moment.event] ?? 0) + 1;
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
    const all = [...timeline.events, ...since];
    call.moments = all.slice(-MOMENTS);
    call.whole = true;
    call.dropped = timeline.dropped > 0 || all.length > MOMENTS;
  }

  // A call that ended before this page listened, as the edge shows it.
  older({ timeline, ...brief }) {
    const call = fresh(brief);
    this.recall(call, timeline);
    return call;
  }

  count(counters) {
    const before = this.counters;
    this.counters = counters;
    this.since = {};
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
    while (this.delays[0].at < counters.now_unix_us - DELAYS) this.delays.shift();
  }
}

function fresh(brief) {
  // `whole`: its moments were asked for, or heard from the first on; `dropped`: its first ones are not known.
  return { brief, moments: [], whole: false, dropped: true };
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
