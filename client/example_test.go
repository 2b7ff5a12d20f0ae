package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

func Example() {
	c, err := client.New("http://127.0.0.1:3333", client.WithToken("s3cr3t"))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	counted, err := c.Increment(ctx, "signups", 1)
	if err != nil {
		log.Fatal(err)
	}
	n, err := c.Get(ctx, "signups", client.After(counted.Receipt))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Value)
}

func ExampleClient_NewBatcher() {
	c, err := client.New("http://127.0.0.1:3333")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	b := c.NewBatcher(client.BatchOptions{Interval: time.Second})
	defer func() {
		if err := b.Close(ctx); err != nil {
			log.Print(err)
		}
	}()
	for range 1_000_000 {
		if err := b.Add(ctx, "page views", 1); err != nil {
			log.Print(err)
		}
	}
}

func ExampleClient_Watch() {
	c, err := client.New("http://127.0.0.1:3333")
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range c.Watch(context.Background(), client.Selection{Prefix: "user:"}) {
		if err != nil {
			log.Fatal(err)
		}
		if e.Kind == client.Changed {
			fmt.Println(e.Key, e.Value)
		}
	}
}
