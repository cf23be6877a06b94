// SPDX-License-Identifier: Apache-2.0

// Says who the SDK for JavaScript takes profile dev of each directory for: a
// JSON list of directories comes in, an object of names as readingCase spells
// them goes out. No request leaves the process: roles are assumed in place.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { loadConfig, NODE_REGION_CONFIG_FILE_OPTIONS } from "@smithy/core/config";
import { fromIni } from "@aws-sdk/credential-provider-ini";

const roleAssumer = async (source, params) => ({
  accessKeyId: `role/${params.RoleArn.split("/").pop()}(${source.accessKeyId})`,
  secretAccessKey: "x",
});

async function who(directory) {
  process.env.AWS_CONFIG_FILE = join(directory, "config");
  process.env.AWS_SHARED_CREDENTIALS_FILE = join(directory, "credentials");
  const tried = [];
  const note = (text) => tried.push(String(text));
  const init = {
    profile: "dev", ignoreCache: true, roleAssumer,
    roleAssumerWithWebIdentity: async () => ({ accessKeyId: "web-identity", secretAccessKey: "x" }),
    logger: { debug: note, info() {}, warn() {}, error() {} },
  };
  try {
    return (await defaultProvider(init)()).accessKeyId;
  } catch (all) {
    tried.length = 0;
    let text;
    try {
      await fromIni(init)();
    } catch (e) {
      text = e.message;
    }
    // Nobody has signed in: which provider looked for a session tells.
    if (tried.some((t) => t.includes("fromSSO"))) return "sso";
    if (tried.some((t) => t.includes("fromLoginCredentials"))) {
      return tried.some((t) => t.includes("resolveAssumeRoleCredentials")) ? "role/R(login)" : "login";
    }
    return text.includes("profile: [dev]") ? "none" : "refused";
  }
}

// settings are what profile dev sets, from the file that each comes from.
async function settings(directory) {
  const init = {
    profile: "dev", ignoreCache: true,
    configFilepath: join(directory, "config"), filepath: join(directory, "credentials"),
  };
  const setting = (key, more) => loadConfig(
    { environmentVariableSelector: () => undefined, configFileSelector: (p) => p[key], default: "" }, { ...init, ...more })();
  return {
    region: await setting("region", NODE_REGION_CONFIG_FILE_OPTIONS),
    endpoint_url: await setting("endpoint_url"),
  };
}

const seen = {}, set = {};
for (const directory of JSON.parse(readFileSync(0, "utf8"))) {
  seen[directory] = await who(directory);
  set[directory] = await settings(directory);
}
const { version } = createRequire(import.meta.url)("@aws-sdk/credential-provider-node/package.json");
console.log(JSON.stringify({ version, login: true, who: seen, settings: set }));
process.exit(0);
