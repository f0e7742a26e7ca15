// Server-sent events by fetch: EventSource cannot send a token. Taken up again when the stream ends, after a
// wait that grows until one has lasted.

const WAIT_MIN = 500;
const WAIT_MAX = 10_000;
// A stream that was live for so long has lasted.
const LASTED = 10_000;
// The edge tells its counters every second. Where the way to it is gone without a word, as behind a computer
// that slept, nothing comes any more, and no end either.
const SILENCE = 6_000;

export function listen(path, headers, on) {
  let wait = WAIT_MIN;
  let timer;
  let current;

  async function begin() {
    const abort = new AbortController();
    current = abort;
    let watch;
    let silent = false;
    let since = Infinity;
    const heard = () => {
      clearTimeout(watch);
      watch = setTimeout(() => {
        silent = true;
        abort.abort();
      }, SILENCE);
    };
    heard();
    on.state("connecting", "");
    try {
      const answer = await fetch(path, { headers: headers({ Accept: "text/event-stream" }), signal: abort.signal });
      if (!answer.ok) {
        on.refused(answer.status);
        throw new Error(answer.status === 401 ? "token needed" : `refused: ${answer.status}`);
      }
      await read(answer.body, heard, (name, data) => {
        if (name === "live") {
          since = performance.now();
          on.state("live", "good");
        }
        on.event(name, data);
      });
      throw new Error("ended");
    } catch (error) {
      clearTimeout(watch);
      if (abort !== current) return;
      const words = silent ? "no word from the edge" : error.message;
      on.state(error.name === "TypeError" ? "edge not reached" : words, "bad");
      if (performance.now() - since > LASTED) wait = WAIT_MIN;
      timer = setTimeout(begin, wait);
      wait = Math.min(wait * 2, WAIT_MAX);
    }
  }

  begin();
  return {
    again() {
      clearTimeout(timer);
      current?.abort();
      wait = WAIT_MIN;
      begin();
    },
  };
}

// Takes the text apart into events: lines of `event:` and `data:`, and an empty one behind each.
async function read(body, heard, tell) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      let name = "message";
      let data = "";
      for (const line of event.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data += line.slice(5);
      }
      if (data) tell(name, JSON.parse(data));
    }
  }
}
