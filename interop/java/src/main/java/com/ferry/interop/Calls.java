package com.ferry.interop;

import java.util.List;
import java.util.concurrent.CompletableFuture;

/** The kinds of calls. */
public interface Calls {
    String overload();

    String overload(String a);

    String overload(int a);

    String overload(Integer a);

    String overload(long a);

    String overload(List<String> a);

    String overload(String a, int b);

    void nothing();

    void oneWay(String token);

    boolean oneWaySeen(String token);

    byte[] big(byte[] data);

    byte[] make(int size);

    /** Answers with the attachment called key and sends an attachment reply-key back. */
    String attachment(String key);

    /** Which of the exported services this is: its group and version. */
    String where();

    String fail(String kind) throws CheckedException, CustomException;

    String sleep(int millis);

    /** The same with a timeout of 700 ms that the provider publishes. */
    String nap(int millis);

    Person older(Person p, int years);

    List<Person> family(List<Person> list, Color color);

    CompletableFuture<String> later(String name);

    /** Who answers; the key is for balancers that look at it. */
    String whoFor(String key);

    /** Who answers: the name of the provider's process. */
    String who();
}
