/**
 * Self-signed certificates (RFC 5280), for a registry that has none from elsewhere.
 *
 * @module
 */

import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import * as x509 from "@peculiar/asn1-x509";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

/** What a certificate says. */
export interface CertificateOptions {
  /** Organization it names. */
  readonly organization: string;
  /** DNS names and IP addresses it is for. */
  readonly hosts: readonly string[];
  /** First moment of its validity, Unix milliseconds. */
  readonly notBefore: number;
  /** Last moment of its validity, Unix milliseconds. */
  readonly notAfter: number;
}

/** PEM texts. */
export interface Certificate {
  /** The certificate. */
  readonly cert: string;
  /** Its private key, PKCS #8. A secret. */
  readonly key: string;
}

const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
/** Number of "organizationName" among the attribute types of X.520. */
const ORGANIZATION = ["2.5.4", 10].join(".");
/** Bytes of a serial number, which must be positive and hard to guess. */
const SERIAL_BYTES = 16;

/**
 * Makes a server certificate with a new ECDSA P-256 key.
 *
 * @param options What it says.
 * @returns Certificate and key.
 */
export function selfSigned(options: CertificateOptions): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const signature = new x509.AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const name = nameOf(options.organization);
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = (serial[0]! & 0x7f) | 0x40; // positive, and no leading zero
  const body = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: new Uint8Array(serial).buffer,
    signature,
    issuer: name,
    subject: name,
    validity: new x509.Validity({
      notBefore: new Date(options.notBefore),
      notAfter: new Date(options.notAfter),
    }),
    subjectPublicKeyInfo: AsnConvert.parse(
      new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
      x509.SubjectPublicKeyInfo,
    ),
    extensions: new x509.Extensions([
      extension(
        x509.id_ce_subjectAltName,
        new x509.SubjectAlternativeName(options.hosts.map(
          (host) =>
            new x509.GeneralName(isIP(host) === 0 ? { dNSName: host } : { iPAddress: host }),
        )),
      ),
      extension(x509.id_ce_extKeyUsage, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
    ]),
  });
  const proof = sign("sha256", new Uint8Array(AsnConvert.serialize(body)), privateKey);
  const certificate = new x509.Certificate({
    tbsCertificate: body,
    signatureAlgorithm: signature,
    signatureValue: new Uint8Array(proof).buffer,
  });
  return {
    cert: pem("CERTIFICATE", new Uint8Array(AsnConvert.serialize(certificate))),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

function nameOf(organization: string): x509.Name {
  const value = new x509.AttributeValue({ utf8String: organization });
  return new x509.Name([
    new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({ type: ORGANIZATION, value }),
    ]),
  ]);
}

function extension(extnID: string, value: unknown): x509.Extension {
  return new x509.Extension({ extnID, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = btoa(String.fromCharCode(...bytes)).match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
