"""Who signed: certificates, signatures, revocation, one key after another."""
