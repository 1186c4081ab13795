import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PEER_NAMES } from "../../scripts/bench/args.ts";
import { installedDetail } from "../../scripts/bench/ends/wireguard.ts";
import { type GoModule, goPrograms, goReason } from "../../scripts/bench/host/go.ts";
import {
  cratesIn,
  programVersion,
  quicVersion,
  versionIn,
} from "../../scripts/bench/host/program_versions.ts";

// cspell:ignore quinny

const MODULE: GoModule = {
  path: "example.org/peer",
  version: "v1.2.3",
  packages: ["", "cmd/tool"],
};
const { signal } = new AbortController();

/** A Go that writes down what it was asked, and "builds" one program. */
async function withGo(
  install: string,
  test: (paths: { go: string; home: string; log: string }) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "pilot-bench-test-" });
  try {
    const paths = {
      go: join(directory, "go"),
      home: join(directory, "home"),
      log: join(directory, "log"),
    };
    const script = [
      "#!/bin/sh",
      `[ "$1" = env ] && { echo go9.9; exit; }`,
      `echo "$@ GOPATH=$GOPATH GOCACHE=$GOCACHE GOTOOLCHAIN=$GOTOOLCHAIN" >> '${paths.log}'`,
      install,
    ];
    await writeFile(paths.go, script.join("\n"));
    await chmod(paths.go, 0o700);
    await test(paths);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const BUILDS = `mkdir -p "$GOBIN" "$GOPATH" && echo built > "$GOBIN/peer"`;
const options = { ignore: Deno.build.os === "windows" };

Deno.test("nebula is a peer that a run can be limited to", () => {
  assert.ok(PEER_NAMES.includes("nebula"));
});

Deno.test("versionIn finds the version in what programs print", () => {
  const texts = {
    "wireguard-go v0.0.20250522\n\nUserspace WireGuard daemon for linux-amd64.": "0.0.20250522",
    "Version: 1.10.3": "1.10.3",
    "iperf 3.18 (cJSON 1.7.15)": "3.18",
    "nebula 1.11.0-rc1": "1.11.0-rc1",
    "Information available at https://www.wireguard.com.": undefined,
  };
  for (const [text, version] of Object.entries(texts)) assert.equal(versionIn(text), version, text);
});

Deno.test("programVersion fails for a program that says none", async () => {
  assert.equal(await programVersion(Deno.execPath(), "--version"), Deno.version.deno);
  await assert.rejects(programVersion("echo", "none"), /echo none: no version in "none"/);
});

Deno.test("cratesIn reads the versions of a family of crates, its own first", () => {
  const text =
    "x/quinn-udp-0.5.9/src\0/quinn-proto-0.11.16/src/a.rs quinn-0.11.8\\src quinn-9 quinny";
  assert.deepEqual([...cratesIn(new TextEncoder().encode(text), "quinn")], [
    ["quinn", "0.11.8"],
    ["quinn-proto", "0.11.16"],
    ["quinn-udp", "0.5.9"],
  ]);
  assert.equal(cratesIn(new TextEncoder().encode("stripped"), "quinn").size, 0);
});

Deno.test("quicVersion names the library and the Deno that has it", async () => {
  const { version, detail } = await quicVersion();
  assert.match(version, /^quinn /);
  assert.ok(detail.includes(`Deno ${Deno.version.deno}`), detail);
});

Deno.test("an installed wireguard-go is distinguished from the current release, and an old one is called that", () => {
  assert.equal(
    installedDetail("0.0.20220316", "0.0.20220316-1", "Go is not installed"),
    "Debian package 0.0.20220316-1, not the current release: Go is not installed; older than " +
      "UDP offload (0.0.20231211), so several times slower than the current release",
  );
  assert.equal(
    installedDetail("0.0.20250522", undefined, "Go is not installed"),
    "as installed, not the current release: Go is not installed",
  );
});

Deno.test("goReason leaves out what was downloaded", () => {
  const text = "go: downloading a v1\ngo: a@v1 requires go >= 1.27 (running go 1.26)\n";
  assert.equal(goReason(text), "go: a@v1 requires go >= 1.27 (running go 1.26)");
});

Deno.test(
  "goPrograms builds the pinned version with directories of its own, once",
  options,
  async () => {
    await withGo(BUILDS, async ({ go, home, log }) => {
      const build = () => goPrograms(MODULE, { install: true, signal, go, home });
      const [first, second] = await Promise.all([build(), build()]);
      assert.deepEqual(first, second);
      if (typeof first === "string") assert.fail(first);
      assert.equal(first.origin, "Go module example.org/peer v1.2.3, built with go9.9");
      assert.equal(await readFile(join(first.directory, "peer"), "utf8"), "built\n");
      const [line, ...others] = (await readFile(log, "utf8")).trim().split("\n");
      assert.deepEqual(others, [], "built once");
      assert.match(
        line!,
        /^install -modcacherw example\.org\/peer@v1\.2\.3 example\.org\/peer\/cmd\/tool@v1\.2\.3 /,
      );
      assert.equal(line!.split(`=${home}/build-`).length, 3, "module path and cache are its own");
      assert.match(line!, / GOTOOLCHAIN=local$/);
      assert.deepEqual(await readdir(home), ["peer@v1.2.3+go9.9"], "only the programs are kept");
    });
  },
);

Deno.test(
  "goPrograms takes what an earlier run has built, also when it may not build",
  options,
  async () => {
    await withGo("exit 1", async ({ go, home }) => {
      await mkdir(join(home, "peer@v1.2.3+go9.9"), { recursive: true });
      const result = await goPrograms(MODULE, { install: false, signal, go, home });
      assert.equal(typeof result, "object");
    });
  },
);

Deno.test("goPrograms says why nothing was built, and asks once", options, async () => {
  const fails = `echo "go: module lookup: not available" >&2; exit 1`;
  await withGo(fails, async ({ go, home, log }) => {
    const refused = await goPrograms(MODULE, { install: false, signal, go, home: `${home}2` });
    assert.equal(refused, "example.org/peer v1.2.3 is not built (--no-install)");
    const build = () => goPrograms(MODULE, { install: true, signal, go, home });
    for (const reason of [await build(), await build()]) {
      assert.match(String(reason), /go: module lookup: not available$/);
    }
    assert.equal((await readFile(log, "utf8")).trim().split("\n").length, 1);
    assert.deepEqual(await readdir(home), []);
  });
});
