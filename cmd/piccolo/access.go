package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"

	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// openAccess reads the files that say who may use the API, and has SIGHUP read
// them again. What was not asked for is nil.
func (s *service) openAccess(f *accessFlags) (tokens *ingress.Tokens, certificate *ingress.Certificate, err error) {
	if f.Tokens != "" {
		if tokens, err = ingress.LoadTokens(f.Tokens, s.log); err != nil {
			return nil, nil, badFile(err)
		}
		s.reload.add("tokens", tokens)
	}
	if f.TLSCert != "" {
		if certificate, err = ingress.LoadCertificate(f.TLSCert, f.TLSKey, s.log); err != nil {
			return nil, nil, badFile(err)
		}
		s.reload.add("TLS certificate", certificate)
	}
	return tokens, certificate, nil
}

// badFile is the error of a file of settings. What is wrong in it is a mistake
// that no restart mends; a file that cannot be read may be there at the next.
func badFile(err error) error {
	if errors.As(err, new(*fs.PathError)) {
		return err
	}
	return exitError{exitUsage, err}
}

// warnOpen warns where an API that asks nobody who they are can be reached from
// other machines.
func warnOpen(log *slog.Logger, in *ingress.Ingress) {
	if in.Tokens != nil || in.TLS != nil {
		return
	}
	if tcp, ok := in.Listener.Addr().(*net.TCPAddr); !ok || tcp.IP.IsLoopback() {
		return
	}
	log.Warn("anyone who can reach this machine can count and read: listen on --listen 127.0.0.1:3333, or ask for --tokens FILE and encrypt with --tls-cert FILE --tls-key FILE",
		"listen", in.Listener.Addr().String())
}

// apiURL is where the API of an ingress can be reached from this machine.
func apiURL(in *ingress.Ingress) string {
	if in.TLS != nil {
		return url("https", in.Listener.Addr())
	}
	return url("http", in.Listener.Addr())
}
