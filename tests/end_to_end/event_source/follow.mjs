// Prints the number of each signal that the npm package eventsource receives.
// Arguments: the feed's address, the value of the Authorization field
import { EventSource } from "eventsource";

const [url, authorization] = process.argv.slice(2);
const source = new EventSource(url, {
  fetch: (address, init) => fetch(address, { ...init, headers: { ...init.headers, Authorization: authorization } }),
});
source.addEventListener("open", () => console.log("open"));
source.addEventListener("signal", (event) => console.log(Number.parseInt(JSON.parse(event.data).signal_id.slice(-12), 16)));
