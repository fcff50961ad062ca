#!/bin/sh
# make_certificates.sh FOLDER: makes the certificates of the TLS tests with the openssl program, good and bad ones, each as
# NAME.pem (certificate and key). ca.pem is the authority that the tests trust, other-ca.pem one that they do not.
set -eu
dir=${1:?usage: make_certificates.sh FOLDER}
mkdir -p "$dir"
cd "$dir"

cat >config <<'END'
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[good]
subjectAltName = DNS:localhost, IP:127.0.0.1
[wrong_name]
subjectAltName = DNS:other.example, IP:127.0.0.1
[wrong_ip]
subjectAltName = DNS:localhost, IP:192.0.2.1
[cn_only]
basicConstraints = CA:false
[wildcard]
subjectAltName = DNS:*, DNS:*.host
[client]
extendedKeyUsage = clientAuth
END
: >index
echo 1000 >serial

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

authority() { # NAME SUBJECT
    key "$1"
    openssl req -new -x509 -key "$1.key" -sha256 -days 3650 -subj "/CN=$2" -config config -extensions authority -out "$1.pem"
}
issue() { # NAME CN EXTENSIONS [AUTHORITY [FROM TO]]
    key "$1"
    openssl req -new -key "$1.key" -subj "/CN=$2" -config config -out "$1.csr"
    openssl ca -batch -notext -config config -in "$1.csr" -out "$1.crt" -cert "${4:-ca}.pem" -keyfile "${4:-ca}.key" \
        -extensions "$3" -startdate "${5:-20200101000000Z}" -enddate "${6:-20491231235959Z}" 2>log || { cat log; exit 1; }
    cat "$1.crt" "$1.key" >"$1.pem"
}

authority ca "Test authority"
authority other-ca "Another authority"
issue good localhost good
issue expired localhost good ca 20200101000000Z 20210101000000Z
issue not-yet-valid localhost good ca 20480101000000Z 20491231235959Z
issue wrong-name localhost wrong_name
issue wrong-ip localhost wrong_ip
issue cn-only localhost cn_only
issue wildcard localhost wildcard
issue unknown-ca localhost good other-ca
issue client "Test client" client
issue foreign-client "Foreign client" client other-ca
key self-signed
openssl req -new -x509 -key self-signed.key -sha256 -days 3650 -subj "/CN=localhost" -config config -extensions good -out self-signed.crt
cat self-signed.crt self-signed.key >self-signed.pem
