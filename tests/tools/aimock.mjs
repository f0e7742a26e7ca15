// A model that others made: aimock, on a port that the system chooses.
// Usage: node aimock.mjs PACKAGE_FOLDER cut|key|strict|beta
//   cut     the first answer to the keys 42 breaks off without a close frame; the second is whole
//   key     another API key than the callers' is wanted: 401 on the upgrade
//   strict  what no fixture answers is closed with 1008
//   beta    every client is taken for one of the beta: 101, an error, close 4000
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [folder, mode] = process.argv.slice(2);
const entry = join(folder, "dist", "index.js");
const { LLMock } = await import(pathToFileURL(entry).href);

const mock = new LLMock({
  port: 0,
  logLevel: "silent",
  strict: mode === "strict",
  ...(mode === "key" && { auth: { apiKeys: ["sk-of-somebody-else"] } }),
});
const keys = "pressed 42";
const answer = { content: "We have eleven fifteen on Tuesday." };
if (mode === "cut") {
  const cut = { chunkSize: 5, truncateAfterChunks: 2 };
  mock.on({ userMessage: keys, sequenceIndex: 0 }, answer, cut);
  mock.on({ userMessage: keys, sequenceIndex: 1 }, answer);
  mock.on({ userMessage: "pressed 7" }, { content: "Good-bye." });
}
await mock.start();
if (mode === "beta") {
  const { server } = mock.serverInstance;
  server.prependListener("upgrade", (request) => {
    request.headers["openai-beta"] = "realtime=v1";
  });
}
console.log(`listening ${new URL(mock.url).host}`);
