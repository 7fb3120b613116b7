package com.ferry.interop;

import java.util.Map;
import org.apache.dubbo.common.stream.StreamObserver;

/** Streams in wrapper messages. All replies are what came; StreamApiImpl says what the words do. */
public interface StreamApi {
    void count(String word, StreamObserver<String> out);

    void people(Person first, StreamObserver<Person> out);

    StreamObserver<String> talk(StreamObserver<String> out);

    StreamObserver<Person> meet(StreamObserver<Person> out);

    StreamObserver<String> collect(StreamObserver<String> out);

    /** Sends the attachment of that name. */
    void attached(String key, StreamObserver<String> out);

    StreamObserver<byte[]> bytes(StreamObserver<byte[]> out);

    StreamObserver<Map<String, Person>> teams(StreamObserver<Map<String, Person>> out);

    /** How often a stream ended because its consumer gave it up. */
    int cut();
}
