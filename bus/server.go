package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ServerOptions say how to run the embedded NATS server.
type ServerOptions struct {
	Dir      string // where JetStream keeps its files
	Listen   string // host:port, or "off" for this process only
	Lazy     bool   // fsync now and then, not before every acknowledgement
	MaxBytes int64  // what the stream may take; the server itself gets some more
	Log      *slog.Logger
}

// Server is a NATS server inside this process.
type Server struct {
	ns     *server.Server
	log    *serverLog
	health health
}

// maxPayload of the embedded server. A batch of 8 MiB holds several 100,000
// deltas; the server's default of 1 MiB would split it for nothing.
const maxPayload = 8 << 20

// startTimeout is how long a server may take to read its store.
const startTimeout = 30 * time.Second

// StartServer starts an embedded server and returns when it is ready.
func StartServer(o ServerOptions) (*Server, error) {
	opts := &server.Options{
		ServerName:             "piccolo",
		JetStream:              true,
		StoreDir:               o.Dir,
		SyncAlways:             !o.Lazy,
		JetStreamMaxStore:      o.MaxBytes + o.MaxBytes/4,
		MaxPayload:             maxPayload,
		MaxPending:             8 * maxPayload,
		NoSigs:                 true, // or it would exit the process on a signal
		DisableJetStreamBanner: true,
	}
	if o.Listen == "off" {
		opts.DontListen = true
	} else {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fmt.Errorf("NATS listen address %q: %w", o.Listen, err)
		}
		opts.Host = host
		if opts.Port, err = net.LookupPort("tcp", port); err != nil {
			return nil, fmt.Errorf("NATS listen address %q: %w", o.Listen, err)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
		// The server takes a busy port for a fatal error and says so to its
		// log alone; a try of our own gives a better answer.
		l, err := net.Listen("tcp", o.Listen)
		if err != nil {
			return nil, fmt.Errorf("NATS cannot listen on %s: %w: choose another with --nats-listen, or --nats-listen off", o.Listen, err)
		}
		_ = l.Close()
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	s := &Server{ns: ns, log: &serverLog{log: o.Log.With("from", "nats"), fatal: make(chan struct{})}}
	ns.SetLoggerV2(s.log, false, false, false)
	go ns.Start()
	for start := time.Now(); err == nil; {
		// In short steps: the server goes on being asked when it has failed.
		if ns.ReadyForConnections(50 * time.Millisecond) {
			return s, nil
		}
		select {
		case <-s.log.fatal:
			err = s.log.err
		default:
			if time.Since(start) > startTimeout {
				err = fmt.Errorf("not ready after %s", startTimeout)
			}
		}
	}
	s.Shutdown()
	return nil, fmt.Errorf("embedded NATS server, store %s: %w", o.Dir, err)
}

// URL is where other programs can connect, empty where they cannot.
func (s *Server) URL() string {
	if addr := s.ns.Addr(); addr != nil {
		return "nats://" + addr.String()
	}
	return ""
}

// Connect connects to the server inside this process, without a socket.
func (s *Server) Connect(name string, log *slog.Logger) (*Bus, error) {
	return connect("", name, log, []nats.Option{nats.InProcessServer(s.ns)})
}

// Shutdown stops the server and returns when its files are closed.
func (s *Server) Shutdown() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// serverLog hands what the server has to say to slog, and remembers the fatal
// error that the server would otherwise exit the process over.
type serverLog struct {
	log   *slog.Logger
	once  sync.Once
	fatal chan struct{}
	err   error

	mu      sync.Mutex
	problem error
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(message(format, v)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(message(format, v)) }

func (l *serverLog) Errorf(format string, v ...any) {
	m := message(format, v)
	l.log.Error(m)
	l.mu.Lock()
	l.problem = errors.New(m)
	l.mu.Unlock()
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.once.Do(func() {
		l.err = errors.New(message(format, v))
		close(l.fatal)
	})
}

// last is the last error that the server logged.
func (l *serverLog) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

func message(format string, v []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, v...))
}
