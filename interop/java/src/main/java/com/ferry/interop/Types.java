package com.ferry.interop;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * One method per type. Each takes the name of a sample and its value; the provider holds the value to what it has under
 * that name itself, and answers with its own, so that one call proves both ways.
 */
public interface Types {
    boolean aBoolean(String sample, boolean v);

    byte aByte(String sample, byte v);

    short aShort(String sample, short v);

    char aChar(String sample, char v);

    int anInt(String sample, int v);

    long aLong(String sample, long v);

    float aFloat(String sample, float v);

    double aDouble(String sample, double v);

    Boolean boxedBoolean(String sample, Boolean v);

    Byte boxedByte(String sample, Byte v);

    Short boxedShort(String sample, Short v);

    Character boxedChar(String sample, Character v);

    Integer boxedInt(String sample, Integer v);

    Long boxedLong(String sample, Long v);

    Float boxedFloat(String sample, Float v);

    Double boxedDouble(String sample, Double v);

    String string(String sample, String v);

    byte[] bytes(String sample, byte[] v);

    boolean[] booleans(String sample, boolean[] v);

    char[] chars(String sample, char[] v);

    short[] shorts(String sample, short[] v);

    int[] ints(String sample, int[] v);

    long[] longs(String sample, long[] v);

    float[] floats(String sample, float[] v);

    double[] doubles(String sample, double[] v);

    String[] strings(String sample, String[] v);

    Object[] objects(String sample, Object[] v);

    Person[] people(String sample, Person[] v);

    int[][] grid(String sample, int[][] v);

    List<String> list(String sample, List<String> v);

    List<Long> listOfLongs(String sample, List<Long> v);

    List<Person> listOfPeople(String sample, List<Person> v);

    List<Object> listOfAnything(String sample, List<Object> v);

    List<List<String>> nested(String sample, List<List<String>> v);

    List<Date> listOfDates(String sample, List<Date> v);

    List<BigDecimal> listOfDecimals(String sample, List<BigDecimal> v);

    List<Color> listOfColors(String sample, List<Color> v);

    Collection<Integer> collection(String sample, Collection<Integer> v);

    Set<String> set(String sample, Set<String> v);

    Map<String, Integer> map(String sample, Map<String, Integer> v);

    Map<Long, Person> mapOfPeople(String sample, Map<Long, Person> v);

    Map<String, List<Map<String, Long>>> deepMap(String sample, Map<String, List<Map<String, Long>>> v);

    Map<Color, Integer> mapByColor(String sample, Map<Color, Integer> v);

    Map<Object, Object> mapOfAnything(String sample, Map<Object, Object> v);

    Person person(String sample, Person v);

    Manager manager(String sample, Manager v);

    Node node(String sample, Node v);

    Twins twins(String sample, Twins v);

    Evolving evolving(String sample, Evolving v);

    Everything everything(String sample, Everything v);

    Floating floatField(String sample, Floating v);

    Color color(String sample, Color v);

    Date date(String sample, Date v);

    LocalDate localDate(String sample, LocalDate v);

    LocalTime localTime(String sample, LocalTime v);

    LocalDateTime localDateTime(String sample, LocalDateTime v);

    Instant instant(String sample, Instant v);

    Duration duration(String sample, Duration v);

    BigDecimal decimal(String sample, BigDecimal v);

    BigInteger bigInteger(String sample, BigInteger v);

    UUID uuid(String sample, UUID v);

    Object object(String sample, Object v);
}
