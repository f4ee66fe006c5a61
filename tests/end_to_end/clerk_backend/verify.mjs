// Reads {"key": PEM, "authorizedParties": [...], "tokens": {name: token}} and prints {name: subject, or null when refused}.
import { verifyToken } from "@clerk/backend";
import { TokenVerificationError } from "@clerk/backend/errors";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { key, authorizedParties, tokens } = JSON.parse(Buffer.concat(chunks).toString());

const verdicts = {};
for (const [name, token] of Object.entries(tokens)) {
  try {
    verdicts[name] = (await verifyToken(token, { jwtKey: key, authorizedParties })).sub;
  } catch (error) {
    if (!(error instanceof TokenVerificationError)) throw error;
    verdicts[name] = null;
  }
}
console.log(JSON.stringify(verdicts));
