// Bundles the pages' scripts and styles with hashed names, compressed copies and a manifest. `--force` builds anyway.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { basename, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { PurgeCSS } from "purgecss";

const root = join(fileURLToPath(import.meta.url), "../..");
const portal = join(root, "src/civicpulse/portal");
const assets = join(portal, "assets");
const dist = join(portal, "static/dist");
const making = `${dist}.making`;
const packages = join(root, "node_modules");
const tabler = join(packages, "@tabler/core/dist/css/tabler.css");
const swagger = join(packages, "swagger-ui-dist");
const maplibre = join(packages, "maplibre-gl/dist");

// Page scripts; each may have a style sheet of the same name in assets/css.
const entries = ["theme", "home", "track", "message"];

async function filesUnder(folder) {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
}

async function inputsHash() {
  const hash = createHash("sha256");
  const sources = [...(await filesUnder(assets)), ...(await filesUnder(join(portal, "templates")))];
  for (const file of [...sources, join(root, "package-lock.json"), fileURLToPath(import.meta.url)]) {
    hash.update(relative(root, file)).update("\0").update(await readFile(file)).update("\0");
  }
  return hash.digest("hex");
}

async function isBuilt(inputs) {
  try {
    return JSON.parse(await readFile(join(dist, "manifest.json"), "utf8")).inputs === inputs;
  } catch (error) {
    if (error.code !== "ENOENT" && !(error instanceof SyntaxError)) throw error;
    return false;
  }
}

const digest = (content) => createHash("sha256").update(content).digest("hex").slice(0, 10);

async function place(name, content) {
  const hashed = `${basename(name, extname(name))}-${digest(content)}${extname(name)}`;
  await writeFile(join(making, hashed), content);
  return hashed;
}

async function buildScripts() {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries.map((name) => join(assets, `js/${name}.js`)),
    outdir: making,
    entryNames: "[name]-[hash]",
    chunkNames: "part-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: ["es2022"],
    minify: true,
    metafile: true,
    legalComments: "none",
    logLevel: "warning",
  });
  const scripts = {};
  for (const [path, output] of Object.entries(metafile.outputs)) {
    if (!output.entryPoint) continue;
    // Everything a page will load, also what it imports later, so that the browser can fetch it in one go.
    const wanted = new Set();
    const collect = (from) => {
      for (const { path: part, external } of metafile.outputs[from].imports) {
        if (external || wanted.has(part)) continue;
        wanted.add(part);
        collect(part);
      }
    };
    collect(path);
    scripts[basename(output.entryPoint, ".js")] = { js: basename(path), preload: [...wanted].map((part) => basename(part)) };
  }
  return scripts;
}

// Tabler is a whole design system; only what our templates and scripts name is kept.
async function buildStyles() {
  const [purged] = await new PurgeCSS().purge({
    content: [join(portal, "templates/**/*.html"), join(assets, "js/**/*.js")],
    css: [tabler],
    keyframes: true,
  });
  const own = (await filesUnder(join(assets, "css"))).filter((file) => file.endsWith(".css"));
  const parts = [purged.css, await readFile(join(maplibre, "maplibre-gl.css"), "utf8")];
  for (const file of own) parts.push(await readFile(file, "utf8"));
  const { code } = await transform(parts.join("\n"), { loader: "css", minify: true, legalComments: "none", target: ["es2022"] });
  return place("pages.css", code);
}

// MapLibre's worker as a file of our own origin: the page needs no right to run code from blobs.
async function workerCode() {
  const code = await readFile(join(maplibre, "maplibre-gl-worker.mjs"), "utf8");
  return code.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
}

// The API reference at /docs, from our own origin.
async function reference() {
  const start = "window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true });\n";
  return {
    docs_script: await place("docs.js", await readFile(join(swagger, "swagger-ui-bundle.js"))),
    docs_style: await place("docs.css", await readFile(join(swagger, "swagger-ui.css"))),
    docs_start: await place("docs-start.js", start),
  };
}

async function compress(name) {
  if (![".js", ".mjs", ".css", ".svg"].includes(extname(name))) return;
  const content = await readFile(join(making, name));
  await writeFile(join(making, `${name}.gz`), gzipSync(content, { level: 9 }));
  const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } });
  await writeFile(join(making, `${name}.br`), brotli);
}

async function main() {
  const inputs = await inputsHash();
  if (!process.argv.includes("--force") && (await isBuilt(inputs))) {
    // For make, which goes by times: this build is newer than its sources.
    await utimes(join(dist, "manifest.json"), new Date(), new Date());
    console.log("pages: the bundle is up to date");
    return;
  }
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { recursive: true });
  const files = {
    style: await buildStyles(),
    worker: await place("map-worker.mjs", await workerCode()),
    icon: await place("icon.svg", await readFile(join(assets, "img/icon.svg"))),
    ...(await reference()),
  };
  const scripts = await buildScripts();
  for (const name of await readdir(making)) await compress(name);
  await writeFile(join(making, "manifest.json"), `${JSON.stringify({ inputs, files, scripts }, null, 2)}\n`);
  await rm(dist, { recursive: true, force: true });
  await rename(making, dist);
  console.log(`pages: built ${relative(root, dist)}`);
}

await main();
