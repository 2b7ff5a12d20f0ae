package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/otlp"
)

// Flags that commands share, a struct for each concern. The names are those of
// the contract; each is PICCOLO_… in the environment and a key of the YAML file.
// A path has a default, if an empty one, or kong takes "" for the working
// directory.

type dataFlags struct {
	Data string `help:"Directory that holds numbers.db, jetstream/ and spool/." default:"./piccolo-data" type:"path" placeholder:"DIR"`
}

// store is where the embedded NATS server keeps the stream.
func (f *dataFlags) store() string { return filepath.Join(f.Data, "jetstream") }

type adminFlags struct {
	Admin string `help:"Address of the page, metrics, health and pprof." default:"${admin}" placeholder:"ADDR"`
}

func (f *adminFlags) check() error { return checkListen("--admin", f.Admin) }

// checkListen refuses an address that nothing can listen on, ever. One that is
// taken, or a host that is not known yet, may do at the next try.
func checkListen(flag, addr string) error {
	const want = "it takes an address and a port, as in 127.0.0.1:3333, or :3333 for every address of this machine"
	if _, err := net.LookupPort("tcp", addr); err == nil && addr != "" {
		return fmt.Errorf("%s: %q is a port without a colon: write :%s, or 127.0.0.1:%s for this machine alone", flag, addr, addr, addr)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: %q is no address to listen on: %s", flag, addr, want)
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return fmt.Errorf("%s: %q in %q is no port, which is a number from 0 to 65535: %s", flag, port, addr, want)
	}
	return nil
}

type ingressFlags struct {
	accessFlags `embed:""`

	Listen        string        `help:"Address of the API." default:":3333" placeholder:"ADDR"`
	Ack           piccolo.Ack   `help:"What a reply waits for when the request does not say: memory, stored or applied." default:"stored" placeholder:"MODE"`
	AckTimeout    time.Duration `help:"How long it waits at most, before it is 202." default:"5s" placeholder:"D"`
	FlushInterval time.Duration `help:"The longest that a delta nobody waits for stays in memory." default:"20ms" placeholder:"D"`
	MaxKeys       int           `help:"Distinct keys kept in memory, 503 above." default:"1000000" placeholder:"N"`
	MaxBody       byteSize      `help:"The largest request body, in bytes or as in 16MiB." default:"16MiB" placeholder:"B"`
	MaxKeyBytes   int           `help:"The longest key, in bytes." default:"512" placeholder:"B"`
	MaxWatchers   int           `help:"Clients that watch at the same time, 503 above." default:"256" placeholder:"N"`
}

func (f *ingressFlags) Validate() error {
	for _, c := range []struct {
		ok   bool
		flag string
		want string
	}{
		{f.AckTimeout > 0, "--ack-timeout", "more than 0"},
		{f.FlushInterval > 0, "--flush-interval", "more than 0"},
		{f.MaxKeys >= 1, "--max-keys", "at least 1"},
		{f.MaxBody >= 1, "--max-body", "at least 1"},
		{f.MaxKeyBytes >= 1, "--max-key-bytes", "at least 1"},
		{f.MaxWatchers >= 0, "--max-watchers", "at least 0"},
	} {
		if !c.ok {
			return fmt.Errorf("%s must be %s", c.flag, c.want)
		}
	}
	return errors.Join(checkListen("--listen", f.Listen), f.accessFlags.Validate()) // kong does not look for it here
}

// accessFlags say who may use the API, and how they get there.
type accessFlags struct {
	Tokens  string `help:"File of bearer tokens that the API asks for, with lines like: increment,read TOKEN. SIGHUP reads it again." type:"path" default:"" placeholder:"FILE"`
	TLSCert string `name:"tls-cert" help:"File with the API's TLS certificate, in PEM. SIGHUP reads it again." type:"path" default:"" placeholder:"FILE"`
	TLSKey  string `name:"tls-key" help:"File with its key, in PEM." type:"path" default:"" placeholder:"FILE"`
}

func (f *accessFlags) Validate() error {
	switch {
	case f.TLSCert != "" && f.TLSKey == "":
		return errors.New("--tls-cert without --tls-key: TLS takes a certificate and its key, give both or neither")
	case f.TLSKey != "" && f.TLSCert == "":
		return errors.New("--tls-key without --tls-cert: TLS takes a certificate and its key, give both or neither")
	}
	return nil
}

type dbFlag struct {
	DB string `name:"db" help:"The database (default: numbers.db in the data directory)." type:"path" default:"" placeholder:"PATH"`
}

func (f *dbFlag) dbPath(data dataFlags) string {
	if f.DB == "" {
		return filepath.Join(data.Data, "numbers.db")
	}
	return f.DB
}

// whichDatabase adds to the error of a database that is not there how to name
// the one that is meant.
func whichDatabase(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: name the directory with --data, or the file with --db", err)
	}
	return err
}

type writerFlags struct {
	dbFlag `embed:""`

	TokenTTL time.Duration `name:"token-ttl" help:"How long an Idempotency-Key is known, from when it was stored; at least 1m." default:"24h" placeholder:"D"`
	Retain   time.Duration `help:"How long committed batches stay in the stream for replay; 0 trims them within a second." default:"0s" placeholder:"D"`
}

func (f *writerFlags) Validate() error {
	if f.Retain < 0 {
		return errors.New("--retain must not be negative")
	}
	if f.TokenTTL < piccolo.MinTokenTTL {
		return fmt.Errorf("--token-ttl must be at least %s: for as long an ingress answers repeats by itself", piccolo.MinTokenTTL)
	}
	return nil
}

// gearFlags steer both ingress and writer.
type gearFlags struct {
	Freshness time.Duration `help:"How old an increment may be when it is committed: under load, flushes and commits are as rare as that lets them be." default:"40ms" placeholder:"D"`
}

func (f *gearFlags) Validate() error {
	if f.Freshness < 0 {
		return errors.New("--freshness must not be negative")
	}
	return nil
}

type streamFlags struct {
	Partitions     int      `help:"Slices of the key space, each with its own writer. Once the stream exists, only piccolo stream repartition changes it." default:"1" placeholder:"N"`
	StreamMaxBytes byteSize `help:"What the stream may hold, in bytes or as in 1GiB; when full, the API says 503." default:"1GiB" placeholder:"B"`
}

// minStream is what a stream has to hold to be of use: some batches.
const minStream = 16 * byteSize(1<<10)

func (f *streamFlags) Validate() error {
	if f.Partitions < 1 || f.Partitions > piccolo.MaxPartitions {
		return errPartitions
	}
	if f.StreamMaxBytes < minStream {
		return errStreamMaxBytes
	}
	return nil
}

var (
	errPartitions     = fmt.Errorf("--partitions must be from 1 to %d", piccolo.MaxPartitions)
	errStreamMaxBytes = fmt.Errorf("--stream-max-bytes must be at least %s: a stream without a bound, which 0 is to a NATS server, would fill the disk", minStream)
)

type natsFlags struct {
	NATS      string `name:"nats" help:"Where NATS is; several addresses of a cluster are separated by commas." env:"PICCOLO_NATS,NATS_URL" default:"nats://127.0.0.1:4222" placeholder:"URL"`
	NATSCreds string `name:"nats-creds" help:"File with the user's NATS credentials." type:"path" default:"" placeholder:"FILE"`
	NATSNKey  string `name:"nats-nkey" help:"File with the seed of the user's nkey; piccolo auth makes one for each role." type:"path" default:"" placeholder:"FILE"`
	NATSCA    string `name:"nats-ca" help:"File with the certificate that signed the server's." type:"path" default:"" placeholder:"FILE"`
	NATSCert  string `name:"nats-cert" help:"File with this client's TLS certificate." type:"path" default:"" placeholder:"FILE"`
	NATSKey   string `name:"nats-key" help:"File with its key." type:"path" default:"" placeholder:"FILE"`
}

// connect connects for a command, as a user of the role that it needs.
func (f *natsFlags) connect(command string, log *slog.Logger) (*bus.Bus, error) {
	role := bus.RoleObserver
	switch command {
	case "ingress":
		role = bus.RoleIngress
	case "writer", "verify": // which reads the writer's database, too
		role = bus.RoleWriter
	case "stream init", "stream repartition", "stream move":
		role = bus.RoleAdmin
	}
	return f.connectAs(role, command, log)
}

// connectAs connects as a user of a role. A server that is away is one that is
// not ready.
func (f *natsFlags) connectAs(role bus.Role, command string, log *slog.Logger) (*bus.Bus, error) {
	conn, err := bus.Connect(bus.Remote{
		URL: f.NATS, Creds: f.NATSCreds, NKey: f.NATSNKey, CA: f.NATSCA, Cert: f.NATSCert, Key: f.NATSKey, Role: role,
	}, "piccolo "+command, log)
	if bus.Away(err) {
		err = broken(fmt.Errorf("%w (an all-in-one that was started with --nats-listen off lets no other process in)", err))
	}
	return conn, err
}

// natsCommand is the nats command that connects to the same server as the same
// user, whose password is left for who runs it to put in.
func (f *natsFlags) natsCommand() string {
	words := []string{"nats"}
	if f.NATS != "nats://127.0.0.1:4222" && f.NATS != os.Getenv("NATS_URL") {
		words = append(words, "--server", bus.Redacted(f.NATS))
	}
	for _, file := range []struct{ flag, path string }{
		{"--creds", f.NATSCreds}, {"--nkey", f.NATSNKey}, {"--tlsca", f.NATSCA}, {"--tlscert", f.NATSCert}, {"--tlskey", f.NATSKey},
	} {
		if file.path != "" {
			words = append(words, file.flag, file.path)
		}
	}
	if f.NATSCreds != "" || f.NATSNKey != "" {
		words = append(words, "--inbox-prefix", bus.RoleObserver.Inbox())
	}
	return strings.Join(words, " ")
}

func (f *natsFlags) Validate() error {
	switch {
	case f.NATSCreds != "" && f.NATSNKey != "":
		return errors.New("--nats-creds and --nats-nkey both say who the user is: give one of them")
	case (f.NATSCert == "") != (f.NATSKey == ""):
		return errors.New("--nats-cert and --nats-key belong together: give both or neither")
	}
	return nil
}

type traceFlags struct {
	OTLP string `name:"otlp" help:"Collector of traces, for OTLP in JSON over HTTP, as in http://127.0.0.1:4318; none where it is not given." env:"PICCOLO_OTLP,OTEL_EXPORTER_OTLP_ENDPOINT" default:"" placeholder:"URL"`
}

func (f *traceFlags) Validate() error {
	if f.OTLP == "" {
		return nil
	}
	if err := otlp.CheckURL(f.OTLP); err != nil {
		return fmt.Errorf("--otlp: %w", err)
	}
	return nil
}

type stopFlags struct {
	StopTimeout time.Duration `help:"How long a stop may take: two fifths for increments on their way into the stream, two fifths for batches on their way into the database." default:"20s" placeholder:"D"`
}

func (f *stopFlags) Validate() error {
	if f.StopTimeout <= 0 {
		return errors.New("--stop-timeout must be more than 0")
	}
	return nil
}

// drain is how long each of ingress and writer has to empty itself; the rest is
// for closing what they used.
func (f stopFlags) drain() time.Duration { return f.StopTimeout * 2 / 5 }
