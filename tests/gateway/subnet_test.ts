import assert from "node:assert/strict";
import { Subnet } from "../../gateway/subnet.ts";

Deno.test("Subnet hands out addresses in order, and given back ones again", () => {
  const subnet = new Subnet("127.77.0.0/30");
  assert.deepEqual([subnet.take(), subnet.take()], ["127.77.0.1", "127.77.0.2"]);
  assert.throws(() => subnet.take(), { code: "limit_exceeded" });
  subnet.release("127.77.0.1");
  assert.equal(subnet.take(), "127.77.0.1");
});

Deno.test("Subnet refuses what holds no addresses of single machines", () => {
  for (
    const cidr of ["0.0.0.0/8", "0.1.2.0/24", "224.0.0.0/8", "239.1.0.0/16", "240.0.0.0/8"]
      .concat("255.255.255.0/24", "255.255.255.252/30")
  ) {
    assert.throws(() => new Subnet(cidr), {
      code: "invalid_argument",
      message: /no addresses of single machines/,
      hint: /127\.77/,
    }, cidr);
  }
});

Deno.test("Subnet never hands out the machine's own address", () => {
  for (const cidr of ["127.0.0.0/8", "127.0.0.0/30", "127.0.0.0/24"]) {
    const subnet = new Subnet(cidr);
    assert.throws(() => subnet.take("127.0.0.1"), {
      code: "invalid_argument",
      message: "127.0.0.1 is this machine, no agent can have it",
    }, cidr);
    assert.equal(subnet.take(), "127.0.0.2", cidr);
  }
  assert.equal(new Subnet("126.0.0.0/8").take(), "126.0.0.1");
  assert.equal(new Subnet("128.0.0.0/8").take(), "128.0.0.1");
});
