package com.ferry.interop;

import org.apache.dubbo.common.stream.StreamObserver;

/** Streams in wrapper messages. All replies are what came; StreamApiImpl says what the words do. */
public interface StreamApi {
    void count(String word, StreamObserver<String> out);

    void people(Person first, StreamObserver<Person> out);

    StreamObserver<String> talk(StreamObserver<String> out);

    StreamObserver<Person> meet(StreamObserver<Person> out);

    StreamObserver<String> collect(StreamObserver<String> out);

    /** How often a stream ended because its consumer gave it up. */
    int cut();
}
