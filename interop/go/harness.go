package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	// A check that has not ended by then has failed; the others still run.
	checkDeadline = 40 * time.Second
	waitDeadline  = 15 * time.Second
	// Checks that run at the same time: the long ones wait for a session to expire.
	atOnce = 3
)

// A check fails by calling Fail (through the helpers) on its own goroutine.
type check struct {
	name string
	run  func(*env)
}

// env is one check's view: its server, a path that only it uses, connections that end with it.
type env struct {
	folder  string
	server  *server
	path    string
	failure string
	mu      sync.Mutex
	cleanup []func()
}

// server is one server process with a port and a folder of its own.
type server struct {
	folder, address string
}

var servers struct {
	sync.Mutex
	started []*server
}

func newServer(folder string) (*server, error) {
	port, err := exec.Command(filepath.Join(filepath.Dir(os.Getenv("SERVER_SH")), "ports.sh")).Output()
	if err != nil {
		return nil, fmt.Errorf("ports.sh: %w", err)
	}
	s := &server{folder, net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(port)))}
	servers.Lock()
	servers.started = append(servers.started, s)
	servers.Unlock()
	return s, s.start()
}

func (s *server) start() error {
	_, port, _ := net.SplitHostPort(s.address)
	return serverSh("start", os.Getenv("SERVER"), port, s.folder)
}

// kill ends the process as a crash does (kill -9).
func (s *server) kill() error {
	return serverSh("kill", s.folder)
}

// killAndStart gives a server back that serves; the clients may or may not be connected to it again.
func (e *env) killAndStart(clients ...*client) {
	// Apache ZooKeeper 3.9.5 never closes a connection that comes before its data is loaded
	// (ZooKeeperServer.removeCnxn: NullPointerException), and this library then waits for 6 session timeouts.
	// So its clients stay away until it serves. Zooid has to stand the knocking.
	if os.Getenv("SERVER") == "java" {
		for _, c := range clients {
			c.line.setShut(true)
			defer c.line.setShut(false)
		}
	}
	e.ok(e.server.kill())
	for _, c := range clients {
		e.eventually("disconnected", func() bool { return c.State() != zk.StateHasSession })
	}
	e.ok(e.server.start())
}

func serverSh(words ...string) error {
	command := exec.Command(os.Getenv("SERVER_SH"), words...)
	// Containers and TTL nodes go with the first sweep after their time: a short interval keeps the suite short.
	command.Env = append(os.Environ(),
		"JVMFLAGS=-Dzookeeper.extendedTypesEnabled=true -Dznode.container.checkIntervalMs=300")
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("server.sh %s: %w: %s", words[0], err, text)
	}
	return nil
}

// ownServer gives this check a server that it may kill.
func (e *env) ownServer() {
	s, err := newServer(filepath.Join(e.folder, "server-of-"+e.path[1:]))
	e.ok(err)
	e.server = s
	e.atEnd(func() { s.kill() })
}

func (e *env) atEnd(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cleanup = append(e.cleanup, f)
}

// line is the way from a client to the server, which can be cut and kept shut.
type line struct {
	sync.Mutex
	shut bool
	conn net.Conn
}

func (l *line) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	l.Lock()
	defer l.Unlock()
	if l.shut {
		return nil, errors.New("the line is shut")
	}
	conn, err := net.DialTimeout(network, address, timeout)
	l.conn = conn
	return conn, err
}

func (l *line) setShut(shut bool) {
	l.Lock()
	defer l.Unlock()
	l.shut = shut
}

// cut ends the connection and lets no new one come before setShut(false).
func (l *line) cut() {
	l.Lock()
	defer l.Unlock()
	l.shut = true
	l.conn.Close()
}

// client is a connection and what it was told.
type client struct {
	*zk.Conn
	line   *line
	states *states
}

// states collects the session states that a connection goes through.
type states struct {
	sync.Mutex
	list []zk.State
}

func (s *states) add(event zk.Event) {
	if event.Type == zk.EventSession {
		s.Lock()
		defer s.Unlock()
		s.list = append(s.list, event.State)
	}
}

func (s *states) count(state zk.State) int {
	s.Lock()
	defer s.Unlock()
	n := 0
	for _, one := range s.list {
		if one == state {
			n++
		}
	}
	return n
}

func (s *states) all() []zk.State {
	s.Lock()
	defer s.Unlock()
	return append([]zk.State(nil), s.list...)
}

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

// connect gives a client that has its session.
func (e *env) connect(timeout time.Duration) *client {
	l, s := &line{}, &states{}
	conn, _, err := zk.Connect([]string{e.server.address}, timeout,
		zk.WithDialer(l.dial), zk.WithLogger(silent{}), zk.WithEventCallback(s.add))
	e.ok(err)
	e.atEnd(conn.Close)
	c := &client{conn, l, s}
	e.eventually("a session", func() bool { return s.count(zk.StateHasSession) == 1 })
	return c
}

func (e *env) client() *client { return e.connect(10 * time.Second) }

func (e *env) fail(format string, values ...interface{}) {
	_, file, number, _ := runtime.Caller(2)
	for depth := 3; filepath.Base(file) == "harness.go"; depth++ {
		_, file, number, _ = runtime.Caller(depth)
	}
	e.mu.Lock()
	e.failure = fmt.Sprintf("%s:%d: %s", filepath.Base(file), number, fmt.Sprintf(format, values...))
	e.mu.Unlock()
	runtime.Goexit()
}

func (e *env) ok(err error) {
	if err != nil {
		e.fail("error %v", err)
	}
}

// is fails unless err is exactly the wanted error.
func (e *env) is(err, want error) {
	if err != want {
		e.fail("error %v, want %v", err, want)
	}
}

func (e *env) equal(got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		e.fail("got %v, want %v", show(got), show(want))
	}
}

func show(value interface{}) interface{} {
	if bytes, isBytes := value.([]byte); isBytes {
		if len(bytes) > 40 {
			return strconv.Itoa(len(bytes)) + " bytes"
		}
		return strconv.Quote(string(bytes))
	}
	return value
}

func (e *env) that(condition bool, what string) {
	if !condition {
		e.fail("not so: %s", what)
	}
}

// eventually polls until the condition is true.
func (e *env) eventually(what string, condition func() bool) {
	end := time.Now().Add(waitDeadline)
	for !condition() {
		if time.Now().After(end) {
			e.fail("not in %v: %s", waitDeadline, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// expect waits for the event of a watch.
func (e *env) expect(events <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case event := <-events:
		if event.Type != kind || event.Path != path || event.Err != nil {
			e.fail("event %v of %s (%v), want %v of %s", event.Type, event.Path, event.Err, kind, path)
		}
	case <-time.After(waitDeadline):
		e.fail("no event %v of %s in %v", kind, path, waitDeadline)
	}
}

// nothing fails if the watch has fired; the round trip before makes sure that it had the time.
func (e *env) nothing(c *client, events <-chan zk.Event) {
	_, err := c.Sync("/")
	e.ok(err)
	select {
	case event := <-events:
		e.fail("unexpected event %v of %s", event.Type, event.Path)
	default:
	}
}

// together runs f(0) to f(n-1) at the same time; an error of one fails the check.
func (e *env) together(n int, f func(i int) error) {
	results := make(chan error, n)
	for i := 0; i < n; i++ {
		go func(i int) { results <- f(i) }(i)
	}
	for i := 0; i < n; i++ {
		e.ok(<-results)
	}
}

// runOne gives the text of the failure, empty when the check passed.
func runOne(folder string, shared *server, c check) string {
	e := &env{folder: folder, server: shared, path: "/" + c.name}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(e)
	}()
	select {
	case <-done:
	case <-time.After(checkDeadline):
		e.mu.Lock()
		e.failure = fmt.Sprintf("no end in %v", checkDeadline)
		e.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.cleanup) - 1; i >= 0; i-- {
		e.cleanup[i]()
	}
	return e.failure
}

func killAll() {
	servers.Lock()
	defer servers.Unlock()
	for _, s := range servers.started {
		s.kill()
	}
}

// runAll runs the checks (those named in wanted, if any) and gives the exit code.
func runAll(checks []check, wanted []string) int {
	folder, err := os.MkdirTemp("", "zooid-go-")
	if err != nil {
		fmt.Println("FAIL start:", err)
		return 1
	}
	defer os.RemoveAll(folder)
	defer killAll()
	// A reader that stops reading (`run | head`) must not end the suite before its servers.
	signal.Ignore(syscall.SIGPIPE)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		killAll()
		os.RemoveAll(folder)
		os.Exit(143)
	}()

	shared, err := newServer(filepath.Join(folder, "server"))
	if err != nil {
		fmt.Println("FAIL start:", err)
		return 1
	}
	places := make(chan struct{}, atOnce)
	var results []chan string
	var chosen []check
	for _, c := range checks {
		if len(wanted) > 0 && !contains(wanted, c.name) {
			continue
		}
		c, result := c, make(chan string, 1)
		chosen, results = append(chosen, c), append(results, result)
		go func() {
			places <- struct{}{}
			result <- runOne(folder, shared, c)
			<-places
		}()
	}
	passed, failed := 0, 0
	for i, c := range chosen {
		if failure := <-results[i]; failure == "" {
			passed++
			fmt.Printf("ok %s\n", c.name)
		} else {
			failed++
			fmt.Printf("FAIL %s: %s\n", c.name, failure)
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return 1
	}
	return 0
}

func contains(list []string, word string) bool {
	for _, one := range list {
		if one == word {
			return true
		}
	}
	return false
}
